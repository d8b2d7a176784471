using System.Globalization;

namespace SkillLoc.Trainers;

public sealed partial class CurveTrainer
{
    /// <summary>Everything that training a curve can be told (methods, C.8). The first model is at 0, the second at 1; for each
    /// micro-batch one place is drawn.</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>The number of control points, 1 or more.</summary>
        public int Bends = 1;

        /// <summary>Where the control points of a tuning method's parameters start.</summary>
        public ControlStart Start;

        /// <summary>The places at which <see cref="ConnectivityTrainerOptions.ValidationSet"/> is judged; the mean metric counts. For
        /// tuning methods the paper's code has 0.7725638477843416, 0.3729565378240084 and 0.5129354059597470 instead.</summary>
        public IReadOnlyList<double> ValidationPlaces = [0.25, 0.5, 0.75];

        /// <summary>Told after every update.</summary>
        public IProgress<CurveProgress>? Progress;

        /// <inheritdoc/>
        internal override RunDescription Describe()
        {
            RunDescription run = base.Describe();
            run.Put(nameof(ValidationPlaces), string.Join(' ', ValidationPlaces.Select(place => place.ToString("R", CultureInfo.InvariantCulture))));
            return run;
        }

        /// <inheritdoc/>
        internal override void Check()
        {
            base.Check();
            Positive(Bends, nameof(Bends));
            if (ValidationPlaces.Count == 0 || ValidationPlaces.Any(place => place is not (>= 0 and <= 1)))
            {
                throw new ArgumentException($"Options.{nameof(ValidationPlaces)} must be one or more places from 0 to 1.");
            }
        }
    }
}
