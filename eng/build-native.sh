#!/usr/bin/env bash
# Builds artifacts/native/libskilloc_torch.so, the native half of standins/TorchSharp, against the libtorch in $LIBTORCH
# (a folder with include/ and lib/, such as the `torch` folder of a Python wheel) or, without that, the system's own.
set -euo pipefail
cd "$(dirname "$0")/.."

source=standins/TorchSharp/native/skilloc_torch.cpp
output=artifacts/native/libskilloc_torch.so
stamp=$output.stamp

fail() { echo "build-native: $*" >&2; exit 1; }

if [[ -n ${LIBTORCH:-} ]]; then
  root=$(realpath -m "$LIBTORCH")
  [[ -f $root/lib/libtorch_cpu.so && -d $root/include/ATen ]] ||
    fail "LIBTORCH is '$LIBTORCH', which has no lib/libtorch_cpu.so or no include/ATen."
else
  root=/usr
  library=$(find /usr/lib /usr/lib64 -maxdepth 2 -name libtorch_cpu.so -print -quit 2>/dev/null || true)
  [[ -n $library && -d /usr/include/ATen ]] ||
    fail "no libtorch here. Install libtorch-dev (Debian, Ubuntu) or set LIBTORCH to a folder with include/ and lib/."
fi
command -v "${CXX:-g++}" >/dev/null || fail "no C++ compiler (${CXX:-g++}) here."

version=$(sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\).*/\2/p' \
  "$root/include/torch/headeronly/version.h" "$root/include/torch/version.h" "$root/include/torch/csrc/api/include/torch/version.h" 2>/dev/null | head -3 | paste -sd. || true)
want="$(sha256sum "$source" "$0" | sha256sum | cut -d' ' -f1) $root $version"
if [[ -f $output && -f $stamp && $(<"$stamp") == "$want" ]]; then
  touch "$output"
  exit 0
fi

# libstdc++ has two ABIs; ours must be libtorch's.
flags=()
libs=(-ltorch_cpu -lc10 -ldl)
if [[ $root != /usr ]]; then
  cxx11=$(nm -DC "$root/lib/libc10.so" | grep -c 'c10::Error::Error(c10::SourceLocation, std::__cxx11::' || true)
  flags=(-isystem "$root/include" "-D_GLIBCXX_USE_CXX11_ABI=$((cxx11 > 0))")
  libs=("-L$root/lib" "-Wl,-rpath,$root/lib" "${libs[@]}")
fi
if [[ -e ${root}/lib/libtorch_cuda.so ]]; then libs+=(-Wl,--no-as-needed -ltorch_cuda -lc10_cuda -ltorch); fi

mkdir -p "$(dirname "$output")"
echo "build-native: libtorch ${version:-of unknown version} in $root"
compile() {
  "${CXX:-g++}" "-std=$1" -O2 -fPIC -shared -fvisibility=hidden -w "${flags[@]}" \
    -isystem "$root/include/torch/csrc/api/include" "$source" -o "$output.tmp" "${libs[@]}"
}
# The newest libtorch headers want C++20, the oldest know C++17.
compile c++17 2>/dev/null || compile c++20
mv "$output.tmp" "$output"
echo "$want" >"$stamp"
