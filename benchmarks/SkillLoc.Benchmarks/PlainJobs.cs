using SkillLoc.Models.Backbones;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Benchmarks;

/// <summary>
/// The jobs in plain TorchSharp, on the same libtorch: as the papers' code does them (rows padded to a fixed length, gradients of all
/// parameters), or the fair way (rows padded to the longest of their batch, no gradients of what is not trained, fused attention).
/// </summary>
internal sealed class PlainJobs(Workload workload, bool fair)
{
    private const int MaskBatch = 8;
    private const int ScoringRows = 32;

    // The reference's way takes minutes for all.
    private const int FewPoints = 3;
    private readonly Random _shuffle = new(0);

    /// <summary>Runs a job; see <see cref="Jobs"/>.</summary>
    public Speed Run(string job, int count)
    {
        random.manual_seed(0);
        (EncodedText Text, long Label)[] rows = [.. workload.Encoded(job == Jobs.ScoreLong).Take(count)];
        return job switch
        {
            Jobs.FineTune => FineTune(rows, count / Jobs.TrainingBatch),
            Jobs.Mask => Mask(rows),
            Jobs.Probe => Probe(rows),
            Jobs.Interpolate => Interpolate(rows),
            _ => Score(rows),
        };
    }

    private PlainModel Load(string folder)
    {
        using var model = LanguageModel.Load(folder);
        var tokenizer = CheckpointTokenizer.Load(workload.Base);
        var plain = new PlainModel(model, [.. Workload.Task.Verbalizer.Resolve(tokenizer).Select(id => (long)id)], fair);
        if (fair)
        {
            HashSet<Parameter> trained = [.. plain.Trained];
            foreach (Parameter parameter in plain.parameters())
            {
                parameter.requires_grad_(trained.Contains(parameter));
            }
        }

        return plain;
    }

    private IEnumerable<(EncodedText Text, long Label)[]> Shuffled((EncodedText Text, long Label)[] rows, int size)
    {
        (EncodedText Text, long Label)[] copy = [.. rows];
        _shuffle.Shuffle(copy);
        return copy.Chunk(size);
    }

    private (Tensor Ids, Tensor Mask, Tensor Positions, Tensor Labels) Collate((EncodedText Text, long Label)[] rows)
    {
        int longest = rows.Max(row => row.Text.Ids.Length);
        int length = fair ? longest : Workload.FixedLength(longest);
        long[] ids = [.. rows.SelectMany(row => Enumerable.Range(0, length).Select(i => Id(row.Text, i)))];
        long[] mask = [.. rows.SelectMany(row => Enumerable.Range(0, length).Select(i => i < row.Text.Ids.Length ? 1L : 0))];
        return (
            tensor(ids, rows.Length, length),
            tensor(mask, rows.Length, length),
            tensor(rows.Select(row => (long)row.Text.Position).ToArray()),
            tensor(rows.Select(row => row.Label).ToArray())
        );
    }

    private long Id(EncodedText text, int i) => i < text.Ids.Length ? text.Ids[i] : workload.PadId;

    private Tensor Loss(PlainModel model, (EncodedText Text, long Label)[] rows)
    {
        (Tensor ids, Tensor mask, Tensor positions, Tensor labels) = Collate(rows);
        return F.cross_entropy(model.call(ids, mask, positions), labels);
    }

    private double FirstLoss(PlainModel model, (EncodedText Text, long Label)[] rows)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable none = no_grad();
        model.eval();
        return Loss(model, rows[..Jobs.LossRows]).item<float>();
    }

    private Speed FineTune((EncodedText Text, long Label)[] rows, int steps)
    {
        using PlainModel model = Load(workload.Base);
        double loss = FirstLoss(model, rows);
        optim.Optimizer optimizer = optim.AdamW(model.Trained, lr: 1e-5, weight_decay: 1e-4);
        model.train();
        var clock = new Clock();
        (EncodedText Text, long Label)[][] batches = [];
        for (int step = fair ? -Jobs.WarmupSteps : -1; step < steps; step++)
        {
            if (step == 0)
            {
                clock = new();
            }

            using DisposeScope scope = NewDisposeScope();
            batches = batches.Length == 0 ? [.. Shuffled(rows, Jobs.TrainingBatch)] : batches;
            model.zero_grad();
            Loss(model, batches[0]).backward();
            nn.utils.clip_grad_norm_(fair ? model.Trained : model.parameters(), 1);
            optimizer.step();
            batches = batches[1..];
        }

        return clock.Speed(steps * Jobs.TrainingBatch, loss);
    }

    /// <summary>An epoch as in the paper's code: gradients, one update of the scores, the accuracy of the rounded mask.</summary>
    private Speed Mask((EncodedText Text, long Label)[] rows)
    {
        using DisposeScope outer = NewDisposeScope();
        using PlainModel model = Load(workload.Base),
            tunedModel = Load(workload.Tuned);
        double loss = FirstLoss(tunedModel, rows);
        model.eval();
        Parameter[] weights = model.Trained;
        Tensor[] pre = [.. weights.Select(weight => weight.detach().clone())];
        Tensor[] moved = [.. tunedModel.Trained.Zip(pre, (tuned, before) => tuned.detach() - before)];
        Tensor all = cat(moved.Select(x => x.abs().flatten()).ToArray());
        float threshold = all.topk((int)(1e-4 * all.numel()), 0).values.min().item<float>();
        Tensor[] patch = [.. moved.Select(x => (x.abs() > threshold).to(float32))];
        Tensor[] scores = [.. pre.Select(x => rand_like(x))];
        var clock = new Clock();
        Graft(rounded: false);
        Tensor[] sums = [.. pre.Select(x => zeros_like(x))];
        foreach ((EncodedText Text, long Label)[] batch in Shuffled(rows, MaskBatch))
        {
            using DisposeScope scope = NewDisposeScope();
            model.zero_grad();
            Loss(model, batch).backward();
            using IDisposable none = no_grad();
            for (int i = 0; i < weights.Length; i++)
            {
                sums[i].add_(weights[i].grad! * moved[i] * 1e7f);
            }
        }

        int count = (rows.Length + MaskBatch - 1) / MaskBatch;
        using (no_grad())
        {
            for (int i = 0; i < weights.Length; i++)
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor soft = (scores[i] - 10f).sigmoid();
                scores[i].sub_((1f - (patch[i] * 2f)) * (sums[i] / count) * soft * (1f - soft));
            }
        }

        Graft(rounded: true);
        Accuracy(model, [.. Shuffled(rows, MaskBatch)]);
        return clock.Speed(rows.Length, loss);

        void Graft(bool rounded)
        {
            using IDisposable none = no_grad();
            for (int i = 0; i < weights.Length; i++)
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor soft = (scores[i] - 10f).sigmoid();
                Tensor share = (patch[i] * (1f - soft)) + ((1f - patch[i]) * soft);
                weights[i].copy_(pre[i] + ((rounded ? share.round() : share) * moved[i]));
            }
        }
    }

    /// <summary>A pass for the neurons' mean activations over the rows' own tokens, and one for how well they predict.</summary>
    private Speed Probe((EncodedText Text, long Label)[] rows)
    {
        using DisposeScope outer = NewDisposeScope();
        using PlainModel model = Load(workload.Tuned);
        double loss = FirstLoss(model, rows);
        (EncodedText Text, long Label)[][] batches = [.. rows.Chunk(ScoringRows)];
        var clock = new Clock();
        using IDisposable none = no_grad();
        Tensor means = Sum((neurons, _) => neurons.sum(1)) / rows.Length;
        Sum((neurons, labels) => ((neurons > means.unsqueeze(1)) == labels.view(1, -1, 1).to(@bool)).sum(1));
        return clock.Speed(rows.Length, loss);

        Tensor Sum(Func<Tensor, Tensor, Tensor> add)
        {
            Tensor? sum = null;
            foreach ((EncodedText Text, long Label)[] batch in batches)
            {
                using DisposeScope scope = NewDisposeScope();
                (Tensor ids, Tensor mask, Tensor positions, Tensor labels) = Collate(batch);
                model.call(ids, mask, positions);
                Tensor real = mask.unsqueeze(-1).to(float32);
                Tensor part = add(stack(model.Neurons.Select(x => (x * real).sum(1) / real.sum(1))), labels);
                sum = (sum is null ? part : sum + part).MoveToOuterDisposeScope();
            }

            return sum!;
        }
    }

    private Speed Interpolate((EncodedText Text, long Label)[] rows)
    {
        using DisposeScope outer = NewDisposeScope();
        using PlainModel model = Load(workload.Base),
            second = Load(workload.Tuned);
        double loss = FirstLoss(second, rows);
        model.eval();
        (EncodedText Text, long Label)[][] batches = [.. rows.Chunk(ScoringRows)];
        Parameter[] weights = [.. model.parameters()];
        Tensor[] start = [.. weights.Select(weight => weight.detach().clone())],
            end = [.. second.parameters().Select(weight => weight.detach())];
        int points = fair ? Jobs.Points : FewPoints;
        var clock = new Clock();
        for (int point = 0; point < points; point++)
        {
            float share = point / (points - 1f);
            using (no_grad())
            {
                for (int i = 0; i < weights.Length; i++)
                {
                    using DisposeScope scope = NewDisposeScope();
                    weights[i].copy_((start[i] * (1f - share)) + (end[i] * share));
                }
            }

            Accuracy(model, batches);
        }

        return clock.Speed(rows.Length * points, loss);
    }

    private Speed Score((EncodedText Text, long Label)[] rows)
    {
        using PlainModel model = Load(workload.Tuned);
        double loss = FirstLoss(model, rows);
        var clock = new Clock();
        Accuracy(model, [.. rows.Chunk(ScoringRows)]);
        return clock.Speed(rows.Length, loss);
    }

    private long Accuracy(PlainModel model, (EncodedText Text, long Label)[][] batches)
    {
        using IDisposable none = no_grad();
        long right = 0;
        foreach ((EncodedText Text, long Label)[] batch in batches)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor ids, Tensor mask, Tensor positions, Tensor labels) = Collate(batch);
            right += (model.call(ids, mask, positions).argmax(-1) == labels).sum().item<long>();
        }

        return right;
    }
}
