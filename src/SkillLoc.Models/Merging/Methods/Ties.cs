namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// TIES (Yadav et al. 2023): keep the differences of largest magnitude, elect a sign for each scalar, and average the models that agree
/// with it. Three programs have three conventions, each of them a method here (methods, E.4).
/// </summary>
internal sealed class Ties : TaskVectorMethod
{
    // The authors' trim the whole model.
    private const int CountingPasses = 2;

    private readonly TiesConvention _convention;
    private readonly List<OrderStatistics> _orders = [];
    private readonly List<double> _densities = [];
    private readonly List<MagnitudeCut> _cuts = [];
    private long _signs;

    public Ties(TiesConvention convention)
    {
        _convention = convention;
        Parameters =
        [
            MergeParameter.Weight(),
            MergeParameter.Density(convention == TiesConvention.Original ? 0.2 : 1),
            MergeParameter.Lambda(),
            Normalize(true),
            new(
                "majority_sign_method",
                new("total"),
                false,
                "What is counted when signs are elected: how far models moved (`total`), or how many did (`frequency`)."
            )
            {
                Choices = ["total", "frequency"],
            },
            .. convention == TiesConvention.MergeKit ? Rescaling.OfNorms : [],
        ];
    }

    public override string Name =>
        _convention switch
        {
            TiesConvention.Original => "ties_original",
            TiesConvention.Peft => "ties_peft",
            _ => "ties",
        };

    public override string Summary =>
        _convention switch
        {
            TiesConvention.Original => "TIES as its authors' program: trims over the whole model, votes and averages without weights.",
            TiesConvention.Peft => "TIES as PEFT: trims each tensor, votes without weights, and divides by the number of models.",
            _ => "TIES as mergekit: trims each tensor, votes with weights, and divides by their sum.",
        };

    public override string Origin => "Yadav et al. 2023, arXiv:2306.01708";

    public override IReadOnlyList<MergeParameter> Parameters { get; }

    internal override int Passes => _convention == TiesConvention.Original ? CountingPasses + 1 : 0;

    /// <summary>Of the whole model: counts magnitudes twice, then the signs that win.</summary>
    internal override void Observe(int pass, MergeTensor tensor)
    {
        tensor.SubtractBase();
        if (pass == CountingPasses)
        {
            float[] weights = tensor.Numbers("weight");
            for (int i = 0; i < tensor.Count; i++)
            {
                Thin(tensor, i);
            }

            SignVote vote = VoteOf(tensor, signOfZero: 0);
            for (int j = 0; j < tensor.Length; j++)
            {
                _signs += (long)vote.Elect(tensor, weights, j);
            }

            return;
        }

        for (int i = 0; i < tensor.Count; i++)
        {
            if (_orders.Count == i)
            {
                _orders.Add(new(magnitudes: true));
                _densities.Add(tensor.Number("density", i));
            }

            _orders[i].Add(tensor[i]);
        }
    }

    internal override void EndPass(int pass)
    {
        switch (pass)
        {
            case 0:
                // The smallest magnitude that is kept is number d - floor(d k) from below, itself included.
                for (int i = 0; i < _orders.Count; i++)
                {
                    long dropped = _orders[i].Count - (long)(_orders[i].Count * _densities[i]);
                    _orders[i].Refine(Math.Max(dropped - 1, 0));
                }

                break;
            case CountingPasses - 1:
                // All of the smallest kept magnitude are kept.
                _cuts.AddRange(_orders.Select(order => new MagnitudeCut(order.Result().Value, long.MaxValue)));
                _orders.Clear();
                break;
        }
    }

    /// <summary>Where the vote is even, the authors' program takes the sign that wins in most places, the others plus.</summary>
    private protected override SignVote VoteOf(MergeTensor tensor) =>
        VoteOf(tensor, _convention == TiesConvention.Original ? Math.Sign(_signs) : 1);

    private SignVote VoteOf(MergeTensor tensor, float signOfZero) =>
        new()
        {
            IsWeighted = _convention == TiesConvention.MergeKit,
            DividesByCount = _convention != TiesConvention.MergeKit,
            CountsHeads = tensor.Text("majority_sign_method") == "frequency",
            SignOfZero = signOfZero,
        };

    private protected override void Thin(MergeTensor tensor, int model)
    {
        if (_cuts.Count > 0)
        {
            _cuts[model].Apply(tensor[model]);
            return;
        }

        double density = tensor.Number("density", model);
        if (density < 1)
        {
            Span<float> values = tensor[model];
            string? norm = _convention == TiesConvention.MergeKit ? Rescaling.Of(tensor) : null;
            double before = norm is null ? 0 : Rescaling.Measure(norm, values);
            OrderStatistics.Largest(values, (long)(density * values.Length)).Apply(values);
            if (norm is not null)
            {
                Rescaling.Restore(norm, before, values);
            }
        }
    }
}

/// <summary>The program whose conventions TIES follows.</summary>
internal enum TiesConvention
{
    MergeKit,
    Original,
    Peft,
}
