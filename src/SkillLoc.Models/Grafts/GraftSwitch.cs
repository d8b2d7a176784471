using System.Runtime.InteropServices;
using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// Applies a graft to a resident base model and removes it again, in place and in time proportional to the graft. The overwritten values
/// are saved on construction, so the base's weights are restored bit for bit. At most one switch of a model may be applied at a time, and
/// the model must not run while one is applied or removed.
/// </summary>
/// <remarks>A graft with zeros outside overwrites every considered parameter, so the switch keeps a copy of all of them.</remarks>
public sealed class GraftSwitch : IDisposable
{
    private readonly List<Place> _places = [];
    private readonly List<(Parameter Weight, Tensor Saved)> _zeroed = [];

    /// <summary>Prepares the switch without changing the model.</summary>
    /// <param name="model">The base model, without any graft; it must outlive the switch.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    internal GraftSwitch(LanguageModel model, Graft graft, string? fingerprint)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(graft);
        graft.Check(model, fingerprint);
        foreach (string name in graft.Zeroed)
        {
            using Tensor detached = model.Parameters[name].detach();
            _zeroed.Add((model.Parameters[name], detached.clone().DetachFromDisposeScope()));
        }

        foreach (GraftPart part in graft.Parts)
        {
            _places.Add(Place.Of(model.Parameters[part.Name], part));
            Count += part.Indices.Length;
        }
    }

    /// <summary>Number of scalars in the graft.</summary>
    public long Count { get; }

    /// <summary>Whether the graft is applied.</summary>
    public bool IsApplied { get; private set; }

    /// <summary>Applies the graft; does nothing if it is applied.</summary>
    public void Apply()
    {
        if (!IsApplied)
        {
            using IDisposable noGradients = no_grad();
            foreach ((Parameter weight, _) in _zeroed)
            {
                // Not Tensor.zero_, which leaves a second tensor of the same storage behind.
                nn.init.zeros_(weight);
            }

            foreach (Place place in _places)
            {
                place.Write(graft: true);
            }

            IsApplied = true;
        }
    }

    /// <summary>Removes the graft; does nothing if it is not applied.</summary>
    public void Remove()
    {
        if (IsApplied)
        {
            using IDisposable noGradients = no_grad();
            foreach (Place place in _places)
            {
                place.Write(graft: false);
            }

            foreach ((Parameter weight, Tensor saved) in _zeroed)
            {
                weight.copy_(saved);
            }

            IsApplied = false;
        }
    }

    /// <summary>Removes the graft if it is applied, and releases the saved values.</summary>
    public void Dispose()
    {
        Remove();
        foreach (Place place in _places)
        {
            place.Dispose();
        }

        foreach ((_, Tensor saved) in _zeroed)
        {
            saved.Dispose();
        }

        _places.Clear();
        _zeroed.Clear();
    }

    /// <summary>Some scalars of a parameter with their values in the base and in the graft.</summary>
    private abstract class Place : IDisposable
    {
        public abstract void Write(bool graft);

        public abstract void Dispose();

        /// <summary>Writes the scalars directly where possible, since an operator call costs more than a few scalars.</summary>
        public static Place Of(Parameter weight, GraftPart part)
        {
            using DisposeScope scope = NewDisposeScope();
            using Tensor detached = weight.detach();
            Tensor indices = tensor(Array.ConvertAll(part.Indices, i => (long)i), device: weight.device);
            Tensor values = tensor(part.Values).to(weight.dtype, weight.device);
            Tensor saved = detached.view(-1).index_select(0, indices);
            bool reachable = weight.device.type == DeviceType.CPU && weight.numel() * weight.element_size() <= int.MaxValue;
            return (reachable, weight.element_size()) switch
            {
                (true, sizeof(float)) => new InMemory<float>(weight, part.Indices, values, saved),
                (true, sizeof(short)) => new InMemory<short>(weight, part.Indices, values, saved),
                _ => new OnDevice(
                    weight,
                    indices.DetachFromDisposeScope(),
                    values.DetachFromDisposeScope(),
                    saved.DetachFromDisposeScope()
                ),
            };
        }
    }

    /// <summary>The bits of a weight in main memory; T is any type of its size.</summary>
    private sealed class InMemory<T>(Parameter weight, int[] indices, Tensor graft, Tensor saved) : Place
        where T : unmanaged
    {
        private readonly T[] _graft = MemoryMarshal.Cast<byte, T>(graft.bytes).ToArray();
        private readonly T[] _saved = MemoryMarshal.Cast<byte, T>(saved.bytes).ToArray();

        public override void Write(bool graft)
        {
            Span<T> scalars = MemoryMarshal.Cast<byte, T>(weight.bytes);
            T[] values = graft ? _graft : _saved;
            for (int i = 0; i < indices.Length; i++)
            {
                scalars[indices[i]] = values[i];
            }
        }

        public override void Dispose() { }
    }

    private sealed class OnDevice(Parameter weight, Tensor indices, Tensor graft, Tensor saved) : Place
    {
        public override void Write(bool graftWanted)
        {
            using Tensor flat = weight.view(-1);
            flat.index_copy_(0, indices, graftWanted ? graft : saved);
        }

        public override void Dispose()
        {
            indices.Dispose();
            graft.Dispose();
            saved.Dispose();
        }
    }
}
