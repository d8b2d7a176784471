using System.Globalization;

namespace SkillLoc.Trainers;

public sealed partial class CurveTrainer
{
    /// <summary>Options for <see cref="CurveTrainer"/> (methods, C.8). The first endpoint is at 0, the second at 1; one position is drawn
    /// per micro-batch.</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>Number of control points, 1 or more; 1 by default.</summary>
        public int Bends = 1;

        /// <summary>The initialisation of control points for the parameters of tuning methods; drawn by default.</summary>
        public ControlStart Start;

        /// <summary>The positions at which <see cref="ConnectivityTrainerOptions.ValidationSet"/> is evaluated, from 0 to 1; the mean
        /// metric selects the best state. For tuning methods, the paper's code uses 0.7725638477843416, 0.3729565378240084 and
        /// 0.5129354059597470 instead.</summary>
        public IReadOnlyList<double> ValidationPlaces = [0.25, 0.5, 0.75];

        /// <summary>Receives a report after each update.</summary>
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

/// <summary>The initialisation of control points for the parameters of tuning methods; those of other parameters start at the midpoint of
/// the endpoints.</summary>
public enum ControlStart
{
    /// <summary>Drawn like the method's initial parameters, such as a uniform A and a zero B in LoRA (methods, C.8; for adapters, the paper
    /// draws both projections: set <c>AdapterOptions.InitialUpDeviation</c>).</summary>
    Drawn,

    /// <summary>At the midpoint of the endpoints.</summary>
    Midpoint,
}

/// <summary>The progress of training a curve.</summary>
/// <param name="Step">Number of completed updates.</param>
/// <param name="Steps">Total number of updates.</param>
/// <param name="Place">The position of the last micro-batch on the curve.</param>
/// <param name="Loss">The mean loss of that micro-batch.</param>
/// <param name="Metric">The latest mean validation metric; null before the first.</param>
public sealed record CurveProgress(int Step, int Steps, double Place, double Loss, double? Metric);
