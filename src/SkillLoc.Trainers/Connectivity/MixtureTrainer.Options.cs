using SkillLoc.Models.Connectivity;

namespace SkillLoc.Trainers;

public sealed partial class MixtureTrainer
{
    /// <summary>Options for <see cref="MixtureTrainer"/> (methods, C.8).</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>The groups of parameters that share a weight; blocks by default.</summary>
        public MixtureGranularity Granularity;

        /// <summary>Standard deviation of the initial weights around 0, 0 or more; 10 by default, as in the paper, where most groups start
        /// near one endpoint and leave a wrong one only after many updates. 0 starts with equal shares.</summary>
        public double InitialDeviation = 10;

        /// <summary>Receives a report after each update.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Creates options with the paper's learning rate and batch size.</summary>
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
