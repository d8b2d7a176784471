using Microsoft.ML;
using SkillLoc.Models.Interpolation;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

public sealed partial class CheckpointInterpolationEvaluator
{
    /// <summary>Everything that an evaluation along a path can be told.</summary>
    public sealed class Options
    {
        /// <summary>The model at 0: fine-tuned, tuned by a method, or grafted. It stays as it is.</summary>
        public TextScoringTransformer? First;

        /// <summary>The model at 1, of the same architecture, kind of tokenizer and tuning method. It stays as it is.</summary>
        public TextScoringTransformer? Second;

        /// <summary>A curve between the two, which stays the caller's; null walks on the straight line.</summary>
        public ParameterPath? Path;

        /// <summary>The end whose task is evaluated on a straight line; it matters where the ends have different labels (methods, C.9). A
        /// <see cref="Path"/> has its own.</summary>
        public PathEnd Task;

        /// <summary>The number of points, both ends among them: x = i / (points - 1), rounded to three decimals (methods, C.4) as long as
        /// these tell the points apart.</summary>
        public int NumberOfPoints = 26;

        /// <summary>Validation rows, which fill the dev columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Validation;

        /// <summary>Test rows, which fill the test columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Test;

        /// <summary>Training rows, of which is told what is forgotten along the path (methods, C.6); null for none.</summary>
        public IDataView? Training;

        /// <summary>The true label: a key, which is compared by its value where it has values, or a text; for a regression a Single, and
        /// for free text a text or a vector of texts, the answers, which <c>LoadTextToText</c> puts into <c>Answers</c>.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The metric of classes; null takes the evaluated task's. A regression has Pearson's correlation, and written answers
        /// have their task's metric.</summary>
        public PromptMetric? Metric;

        /// <summary>Bins of confidence; 15 as in Guo et al. (2017).</summary>
        public int NumberOfBins = 15;

        /// <summary>Told the share of the work that is done, from 0 to 1.</summary>
        public IProgress<double>? Progress;

        /// <summary>Ends the evaluation with an <see cref="OperationCanceledException"/>, as does the end of the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>The views that are there, by the names of their sets.</summary>
        internal IEnumerable<(string Name, IDataView Data)> Sets =>
            from set in new[] { (Name: nameof(Validation), Data: Validation), (Name: nameof(Test), Data: Test), (Name: nameof(Training), Data: Training) }
            where set.Data is not null
            select (set.Name, set.Data);

        /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
        internal void Check()
        {
            if (First is null || Second is null)
            {
                throw new ArgumentException($"Options.{nameof(First)} and Options.{nameof(Second)} must be given.");
            }

            if (!Sets.Any())
            {
                throw new ArgumentException($"One of Options.{nameof(Validation)}, Options.{nameof(Test)} and Options.{nameof(Training)} must be given.");
            }

            if (NumberOfPoints < 2)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(NumberOfPoints), NumberOfPoints, $"Options.{nameof(NumberOfPoints)} must be 2 or more, as both ends are points.");
            }

            ArgumentOutOfRangeException.ThrowIfLessThan(NumberOfBins, 1);
            if (Path is not null && (!ReferenceEquals(Path.First, First.Classifier) || !ReferenceEquals(Path.Second, Second.Classifier)))
            {
                throw new ArgumentException($"Options.{nameof(Path)} must lead from Options.{nameof(First)} to Options.{nameof(Second)}; it has other ends.");
            }
        }
    }
}
