using Microsoft.ML;
using SkillLoc.Models.Interpolation;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class CurveTrainer
{
    /// <summary>Everything that training a curve can be told (mode connectivity, C.8).</summary>
    public sealed class Options
    {
        /// <summary>The model at 0; it stays as it is and must live as long as the curve.</summary>
        public TextScoringTransformer? First;

        /// <summary>The model at 1, of the same architecture, vocabulary and tuning method; as the first.</summary>
        public TextScoringTransformer? Second;

        /// <summary>The end whose task is trained on; it matters where the ends have different labels (C.9).</summary>
        public PathEnd Task;

        /// <summary>The number of control points, 1 or more.</summary>
        public int Bends = 1;

        /// <summary>
        /// The standard deviation that the control points of a tuning method's parameters are drawn with, about 0. All others start at the
        /// midpoint; so do these where it is null.
        /// </summary>
        public double? InitialDeviation = 0.02;

        /// <summary>The label column, as fine-tuning had it: a key.</summary>
        public string LabelColumnName = "Label";

        /// <summary>Rows that choose the best state; null keeps the last.</summary>
        public IDataView? ValidationSet;

        /// <summary>The places at which <see cref="ValidationSet"/> is judged; the mean metric counts.</summary>
        public IReadOnlyList<double> ValidationPlaces = [0.25, 0.5, 0.75];

        /// <summary>Updates between two evaluations.</summary>
        public int EvaluationInterval = 100;

        /// <summary>Updates.</summary>
        public int MaxSteps = 5000;

        /// <summary>Rows of a micro-batch, for which one place is drawn (decision 19).</summary>
        public int BatchSize = 16;

        /// <summary>Micro-batches, and so places, of an update.</summary>
        public int GradientAccumulationSteps = 1;

        /// <summary>AdamW's learning rate, which is constant; there is neither decay nor clipping.</summary>
        public double LearningRate = 1e-4;

        /// <summary>Dropout while training; null takes what the configuration says.</summary>
        public double? Dropout;

        /// <summary>Padded tokens in one forward pass; null takes what suits the device.</summary>
        public int? MaxTokensPerBatch;

        /// <summary>Seed of places, order of rows, control points and dropout.</summary>
        public int Seed;

        /// <summary>Told after every update.</summary>
        public IProgress<CurveProgress>? Progress;

        /// <summary>Ends training with the best state so far.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (First is null || Second is null)
            {
                throw new ArgumentException($"Options.{nameof(First)} and Options.{nameof(Second)} must be given.");
            }

            Positive(Bends, nameof(Bends));
            Positive(EvaluationInterval, nameof(EvaluationInterval));
            Positive(MaxSteps, nameof(MaxSteps));
            Positive(BatchSize, nameof(BatchSize));
            Positive(GradientAccumulationSteps, nameof(GradientAccumulationSteps));
            Positive(LearningRate, nameof(LearningRate));
            Positive(InitialDeviation ?? 1, nameof(InitialDeviation));
            if (ValidationPlaces.Count == 0 || ValidationPlaces.Any(place => place is not (>= 0 and <= 1)))
            {
                throw new ArgumentException($"Options.{nameof(ValidationPlaces)} must be one or more places from 0 to 1.");
            }

            static void Positive(double value, string option)
            {
                if (!(value > 0) || !double.IsFinite(value))
                {
                    throw new ArgumentOutOfRangeException(option, value, $"Options.{option} must be above 0.");
                }
            }
        }
    }
}
