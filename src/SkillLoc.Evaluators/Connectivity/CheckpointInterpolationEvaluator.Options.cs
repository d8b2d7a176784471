using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

public sealed partial class CheckpointInterpolationEvaluator
{
    /// <summary>Options for <see cref="CheckpointInterpolationEvaluator"/>.</summary>
    public sealed class Options
    {
        /// <summary>The first endpoint, at 0: fine-tuned, tuned by a method, or grafted. It is not changed.</summary>
        public TextScoringTransformer? First;

        /// <summary>The model at 1, of the same architecture, kind of tokenizer and tuning method. It stays as it is.</summary>
        public TextScoringTransformer? Second;

        /// <summary>A curve between the two, owned by the caller; null (default) for the straight line.</summary>
        public ParameterPath? Path;

        /// <summary>The endpoint whose task is evaluated on a straight line, if labels differ (methods, C.9). A <see cref="Path"/> has its
        /// own.</summary>
        public PathEnd Task;

        /// <summary>Number of points including both endpoints, 2 or more; 26 by default. x = i / (points - 1), rounded to three decimals if
        /// these distinguish the points (methods, C.4).</summary>
        public int NumberOfPoints = 26;

        /// <summary>Validation rows, which fill the dev columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Validation;

        /// <summary>Test rows, which fill the test columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Test;

        /// <summary>Training rows, for measuring what is forgotten along the path (methods, C.6); null for none.</summary>
        public IDataView? Training;

        /// <summary>The true label: a key, compared by value if it has values, or a text; a Single for a regression; for free text, the
        /// answers as a text or vector of texts (<c>Answers</c> from <c>LoadTextToText</c>).</summary>
        public string LabelColumnName = "Label";

        /// <summary>The metric of a classification; null (default) for that of the task. Regressions use Pearson's correlation, and
        /// generated text the task's metric.</summary>
        public PromptMetric? Metric;

        /// <summary>Number of confidence bins, 1 or more; 15 by default, as in Guo et al. (2017).</summary>
        public int NumberOfBins = 15;

        /// <summary>Receives the completed share of the work, from 0 to 1.</summary>
        public IProgress<double>? Progress;

        /// <summary>Cancels the evaluation with an <see cref="OperationCanceledException"/>, as does cancelling the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>The given views by name of their set.</summary>
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
