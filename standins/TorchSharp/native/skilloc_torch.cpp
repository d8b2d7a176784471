// A C interface over ATen's dispatcher: every operator is looked up by its schema name and called boxed.
// Tensors cross the border as TensorImpl pointers, each of which owns one reference.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {

using Impl = c10::TensorImpl;
using ImplPtr = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
// c10::optional up to 2.x, std::optional after it.
using OptionalTensor = decltype(std::declval<const c10::IValue&>().toOptional<at::Tensor>());

enum Kind : int32_t { None, TensorKind, Int, Double, Bool, IntList, TensorList, OptionalTensorList, Device, String, Generator };

struct Value {
    int32_t kind;
    int32_t count;  // elements of a list, bytes of a string, index of a device
    union {
        int64_t integer;
        double real;
        void* pointer;
    };
};

thread_local std::string error;
thread_local std::vector<at::Tensor> pending;

at::Tensor borrow(void* handle) {
    return handle ? at::Tensor(ImplPtr::reclaim_copy(static_cast<Impl*>(handle))) : at::Tensor();
}

void* give(at::Tensor tensor) {
    return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
}

std::vector<at::Tensor> borrow(void** handles, int64_t count) {
    std::vector<at::Tensor> tensors;
    tensors.reserve(count);
    for (int64_t i = 0; i < count; i++) tensors.push_back(borrow(handles[i]));
    return tensors;
}

c10::Device device_of(int32_t type, int32_t index) {
    return c10::Device(static_cast<c10::DeviceType>(type), static_cast<c10::DeviceIndex>(index));
}

template <typename T, typename F>
T guarded(T failed, F body) {
    try {
        return body();
    } catch (const c10::Error& e) {
        error = e.what_without_backtrace();
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "unknown native exception";
    }
    return failed;
}

c10::IValue to_ivalue(const Value& v) {
    switch (v.kind) {
        case TensorKind: return borrow(v.pointer);
        case Int: return v.integer;
        case Double: return v.real;
        case Bool: return v.integer != 0;
        case IntList: {
            auto data = static_cast<const int64_t*>(v.pointer);
            return c10::IValue(std::vector<int64_t>(data, data + v.count));
        }
        case TensorList: return c10::IValue(borrow(static_cast<void**>(v.pointer), v.count));
        case OptionalTensorList: {
            c10::List<OptionalTensor> list;
            list.reserve(v.count);
            for (auto& tensor : borrow(static_cast<void**>(v.pointer), v.count))
                list.push_back(tensor.defined() ? OptionalTensor(tensor) : OptionalTensor());
            return list;
        }
        case Device: return device_of(static_cast<int32_t>(v.integer), v.count);
        case String: return std::string(static_cast<const char*>(v.pointer), v.count);
        case Generator: return *static_cast<at::Generator*>(v.pointer);
        default: return c10::IValue();
    }
}

// Calls `name` of a library that may or may not be loaded.
void call_if_loaded(const char* name, int argument) {
    if (auto function = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, name))) function(argument);
}

void use_threads(int count) {
    at::set_num_threads(count);
    call_if_loaded("openblas_set_num_threads", count);
}

}  // namespace

API const char* skilloc_error() { return error.c_str(); }

API const char* skilloc_version() { return TORCH_VERSION; }

// Some builds of libtorch start with a single thread; unless the environment says otherwise, take every core.
__attribute__((constructor)) static void initialize() {
    auto chosen = std::getenv("OMP_NUM_THREADS");
    use_threads(std::max(1, chosen ? std::atoi(chosen) : static_cast<int>(std::thread::hardware_concurrency())));
}

// A handle to the operator, or null where this libtorch lacks it.
API void* skilloc_find(const char* name, const char* overload) {
    return guarded<void*>(nullptr, [&]() -> void* {
        auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
        if (handle) return new c10::OperatorHandle(*handle);
        error = std::string("libtorch " TORCH_VERSION " has no operator ") + name + "." + overload;
        return nullptr;
    });
}

// Calls the operator; arguments that are left out take the schema's defaults. Returns how many values came back, -1 on error.
// Tensor lists are spread out; where `results` is too short nothing is written and `skilloc_take` gives the tensors.
API int32_t skilloc_call(void* op, const Value* arguments, int32_t count, Value* results, int32_t capacity) {
    return guarded<int32_t>(-1, [&]() -> int32_t {
        const auto& handle = *static_cast<c10::OperatorHandle*>(op);
        const auto& parameters = handle.schema().arguments();
        c10::Stack stack;
        stack.reserve(parameters.size());
        for (int32_t i = 0; i < count; i++) stack.push_back(to_ivalue(arguments[i]));
        for (size_t i = count; i < parameters.size(); i++) {
            const auto& fallback = parameters[i].default_value();
            TORCH_CHECK(fallback.has_value(), handle.schema().name(), " lacks its argument ", parameters[i].name());
            stack.push_back(*fallback);
        }
        handle.callBoxed(&stack);
        if (capacity == 0) return 0;
        if (stack.size() == 1 && stack[0].isTensorList()) {
            auto list = stack[0].toTensorVector();
            auto length = static_cast<int32_t>(list.size());
            if (length > capacity) {
                pending = std::move(list);
            } else {
                for (int32_t i = 0; i < length; i++) {
                    results[i].kind = TensorKind;
                    results[i].pointer = give(std::move(list[i]));
                }
            }
            return length;
        }
        auto length = std::min(capacity, static_cast<int32_t>(stack.size()));
        for (int32_t i = 0; i < length; i++) {
            auto& value = stack[i];
            if (value.isTensor()) {
                results[i].kind = TensorKind;
                results[i].pointer = give(std::move(value).toTensor());
            } else if (value.isBool()) {
                results[i].kind = Bool;
                results[i].integer = value.toBool();
            } else if (value.isInt()) {
                results[i].kind = Int;
                results[i].integer = value.toInt();
            } else if (value.isDouble()) {
                results[i].kind = Double;
                results[i].real = value.toDouble();
            } else {
                TORCH_CHECK(false, handle.schema().name(), " returns a ", value.tagKind(), ", which has no form here");
            }
        }
        return length;
    });
}

API void skilloc_take(void** handles) {
    for (auto& tensor : pending) *handles++ = give(std::move(tensor));
    pending.clear();
}

API void skilloc_release(void* tensor) { ImplPtr::reclaim(static_cast<Impl*>(tensor)); }

API void* skilloc_alias(void* tensor) { return give(borrow(tensor)); }

API int32_t skilloc_dtype(void* tensor) { return static_cast<int32_t>(c10::typeMetaToScalarType(static_cast<Impl*>(tensor)->dtype())); }

API int64_t skilloc_dim(void* tensor) { return static_cast<Impl*>(tensor)->dim(); }

API int64_t skilloc_numel(void* tensor) { return static_cast<Impl*>(tensor)->numel(); }

API int64_t skilloc_itemsize(void* tensor) { return static_cast<int64_t>(static_cast<Impl*>(tensor)->itemsize()); }

// `dim` must be in range.
API int64_t skilloc_size(void* tensor, int64_t dim) { return static_cast<Impl*>(tensor)->sizes()[dim]; }

API int64_t skilloc_stride(void* tensor, int64_t dim) { return static_cast<Impl*>(tensor)->strides()[dim]; }

API int32_t skilloc_is_contiguous(void* tensor) { return static_cast<Impl*>(tensor)->is_contiguous(); }

API int32_t skilloc_device_type(void* tensor) { return static_cast<int32_t>(static_cast<Impl*>(tensor)->device().type()); }

API int32_t skilloc_device_index(void* tensor) { return static_cast<Impl*>(tensor)->device().index(); }

API void* skilloc_data(void* tensor) {
    return guarded<void*>(nullptr, [&] { return borrow(tensor).data_ptr(); });
}

// A tensor over memory of the caller's, who hears through `release(context)` that nobody reads it any more.
API void* skilloc_from_blob(void* data, const int64_t* sizes, int32_t dims, int32_t dtype, void (*release)(void*), void* context) {
    return guarded<void*>(nullptr, [&] {
        auto options = at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype));
        return give(at::from_blob(data, c10::IntArrayRef(sizes, dims), [=](void*) { release(context); }, options));
    });
}

API int32_t skilloc_requires_grad(void* tensor) { return static_cast<Impl*>(tensor)->requires_grad(); }

API int32_t skilloc_set_requires_grad(void* tensor, int32_t value) {
    return guarded<int32_t>(-1, [&] { return borrow(tensor).requires_grad_(value != 0), 0; });
}

API int32_t skilloc_is_leaf(void* tensor) {
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(borrow(tensor).is_leaf()); });
}

API int32_t skilloc_retain_grad(void* tensor) {
    return guarded<int32_t>(-1, [&] { return borrow(tensor).retain_grad(), 0; });
}

// Null where there is no gradient.
API void* skilloc_grad(void* tensor) {
    return guarded<void*>(nullptr, [&] { return give(static_cast<const at::Tensor&>(borrow(tensor)).grad()); });
}

API int32_t skilloc_set_grad(void* tensor, void* grad) {
    return guarded<int32_t>(-1, [&] { return borrow(tensor).mutable_grad() = borrow(grad), 0; });
}

API int32_t skilloc_backward(void* tensor, void* gradient, int32_t retain_graph, int32_t create_graph, void** inputs, int32_t count) {
    return guarded<int32_t>(-1, [&] {
        auto root = borrow(tensor);
        auto given = borrow(gradient);
        if (inputs) {
            auto leaves = borrow(inputs, count);
            root.backward(given, retain_graph != 0, create_graph != 0, at::TensorList(leaves));
        } else {
            root.backward(given, retain_graph != 0, create_graph != 0);
        }
        return 0;
    });
}

API int32_t skilloc_grad_mode() { return c10::GradMode::is_enabled(); }

API void skilloc_set_grad_mode(int32_t enabled) { c10::GradMode::set_enabled(enabled != 0); }

API int32_t skilloc_is_inference_mode() { return c10::InferenceMode::is_enabled(); }

// The guard must be ended on the thread that began it.
API void* skilloc_begin_inference_mode(int32_t enabled) { return new c10::InferenceMode(enabled != 0); }

API void skilloc_end_inference_mode(void* guard) { delete static_cast<c10::InferenceMode*>(guard); }

API int32_t skilloc_manual_seed(uint64_t seed) {
    return guarded<int32_t>(-1, [&] { return at::manual_seed(seed), 0; });
}

API void* skilloc_default_generator(int32_t type, int32_t index) {
    return guarded<void*>(nullptr, [&] { return new at::Generator(at::globalContext().defaultGenerator(device_of(type, index))); });
}

API void* skilloc_generator(int32_t type, int32_t index, uint64_t seed) {
    return guarded<void*>(nullptr, [&] {
        auto generator = at::globalContext().defaultGenerator(device_of(type, index)).clone();
        generator.set_current_seed(seed);
        return new at::Generator(generator);
    });
}

API void skilloc_release_generator(void* generator) { delete static_cast<at::Generator*>(generator); }

API int32_t skilloc_generator_set_seed(void* generator, uint64_t seed) {
    return guarded<int32_t>(-1, [&] {
        auto& target = *static_cast<at::Generator*>(generator);
        std::lock_guard<std::mutex> lock(target.mutex());
        target.set_current_seed(seed);
        return 0;
    });
}

API uint64_t skilloc_generator_seed(void* generator) { return static_cast<at::Generator*>(generator)->current_seed(); }

API void* skilloc_generator_state(void* generator) {
    return guarded<void*>(nullptr, [&] { return give(static_cast<at::Generator*>(generator)->get_state()); });
}

API int32_t skilloc_generator_set_state(void* generator, void* state) {
    return guarded<int32_t>(-1, [&] { return static_cast<at::Generator*>(generator)->set_state(borrow(state)), 0; });
}

API int32_t skilloc_num_threads() { return at::get_num_threads(); }

API void skilloc_set_num_threads(int32_t count) { use_threads(count); }

API int32_t skilloc_has_cuda() {
    return guarded<int32_t>(0, [] { return static_cast<int32_t>(at::hasCUDA()); });
}

API int32_t skilloc_cuda_count() {
    return guarded<int32_t>(0, [] { return static_cast<int32_t>(at::getNumGPUs()); });
}
