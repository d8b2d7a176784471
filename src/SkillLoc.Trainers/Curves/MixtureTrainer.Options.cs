using SkillLoc.Models.Interpolation;

namespace SkillLoc.Trainers;

public sealed partial class MixtureTrainer
{
    /// <summary>Everything that training mixing weights can be told (methods, C.8, "weight find").</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>Which parameters share a weight.</summary>
        public MixtureGranularity Granularity;

        /// <summary>The standard deviation that weights are drawn with, about 0. At the paper's 10, where most groups start at one of the
        /// ends, it takes many updates to leave the wrong one; 0 starts at equal shares.</summary>
        public double InitialDeviation = 10;

        /// <summary>Told after every update.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Takes the paper's learning rate and batch size.</summary>
        public Options()
        {
            LearningRate = 0.1;
            BatchSize = 8;
        }

        /// <inheritdoc/>
        internal override void Check()
        {
            base.Check();
            if (!(InitialDeviation >= 0) || !double.IsFinite(InitialDeviation))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(InitialDeviation), InitialDeviation, $"Options.{nameof(InitialDeviation)} must be 0 or more.");
            }
        }
    }
}
