using System.Diagnostics;
using Microsoft.ML.Runtime;

namespace SkillLoc.Trainers;

/// <summary>The objective of a <see cref="TrainingLoop"/>: its updates, metric and state.</summary>
internal abstract class TrainingObjective
{
    /// <summary>Reads the state to resume from; null to start anew.</summary>
    public virtual TrainingState? Resume() => null;

    /// <summary>Runs one update and adds the number of rows used to the state.</summary>
    /// <param name="state">The state of training; its step is the number of previous updates.</param>
    /// <returns>The loss.</returns>
    public abstract double Step(TrainingState state);

    /// <summary>Computes the metric by which the best state is chosen; null if there is none.</summary>
    public virtual double? Validate(TrainingState state) => null;

    /// <summary>Called when the state is the best so far.</summary>
    public virtual void KeepBest(TrainingState state) { }

    /// <summary>Called after each evaluation, with or without a metric.</summary>
    public virtual void Evaluated(TrainingState state) { }

    /// <summary>Called at the end of each update.</summary>
    public virtual void Updated(TrainingState state) { }

    /// <summary>Writes a state from which training can resume.</summary>
    public virtual void Save(TrainingState state) { }

    /// <summary>Reports to the caller's progress.</summary>
    public virtual void Report(TrainingState state) { }

    /// <summary>Error message for a loss that is not finite.</summary>
    public abstract string Diverged(TrainingState state);
}

/// <summary>
/// The loop of every training (methods, A.9): update, evaluate, keep the best state, save the state and report progress, until all updates
/// are done, the metric stops improving, or training is cancelled.
/// </summary>
/// <param name="host">The trainer's host.</param>
/// <param name="channel">The trainer's channel.</param>
internal sealed class TrainingLoop(ComponentHost host, IChannel channel)
{
    /// <summary>The mean loss below which an evaluation counts as no improvement (methods, C.2).</summary>
    private const double LeastLoss = 1e-7;

    /// <summary>Name of the training in ML.NET's log.</summary>
    public required string Name { get; init; }

    /// <summary>Total number of updates.</summary>
    public required int Steps { get; init; }

    /// <summary>Number of updates between evaluations; the last update is always followed by one.</summary>
    public int EvaluationInterval { get; init; } = 1;

    /// <summary>Number of updates between writes of the state.</summary>
    public int StateInterval { get; init; } = int.MaxValue;

    /// <summary>Number of consecutive evaluations without improvement that ends training; null for no limit.</summary>
    public int? Patience { get; init; }

    /// <summary>Whether ties between states go to the later one, as in the paper's fine-tuning, or to the earlier.</summary>
    public bool LaterWins { get; init; } = true;

    /// <summary>Name of an update in progress reports.</summary>
    public string Unit { get; init; } = "update";

    /// <summary>Ends training, as does the end of the context's execution.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Runs the training from the start or from a stored state.</summary>
    /// <exception cref="InvalidOperationException">The loss is not finite.</exception>
    public TrainingState Run(TrainingObjective objective)
    {
        TrainingState state = objective.Resume() ?? new();
        double secondsBefore = state.Seconds;
        using CancellationWatch cancellation = host.Watch(Cancellation);
        using IProgressChannel progress = host.StartProgressChannel(Name);
        progress.SetHeader(
            new ProgressHeader(["loss", "metric"], [Unit + "s"]),
            entry =>
            {
                entry.SetProgress(0, state.Step, Steps);
                entry.SetMetric(0, state.Loss);
                entry.SetMetric(1, state.Metric ?? double.NaN);
            }
        );
        var clock = Stopwatch.StartNew();
        while (state.Step < Steps && !IsStale(state) && !cancellation.IsRequested)
        {
            state.Loss = objective.Step(state);
            state.LossSum += state.Loss;
            state.Step++;
            if (!double.IsFinite(state.Loss))
            {
                throw new InvalidOperationException(objective.Diverged(state));
            }

            if (state.Step % EvaluationInterval == 0 || state.Step == Steps)
            {
                Evaluate(objective, state);
            }

            objective.Updated(state);
            state.Seconds = secondsBefore + clock.Elapsed.TotalSeconds;
            if (state.Step % StateInterval == 0)
            {
                objective.Save(state);
            }

            objective.Report(state);
            progress.Checkpoint(state.Loss, state.Metric, state.Step);
        }

        state.IsComplete = state.Step >= Steps || IsStale(state);
        if (!state.IsComplete)
        {
            objective.Save(state);
        }

        return state;
    }

    private void Evaluate(TrainingObjective objective, TrainingState state)
    {
        if (objective.Validate(state) is { } metric)
        {
            state.Metric = metric;
            channel.Info(MessageSensitivity.None, $"{Name}, {Unit} {state.Step} of {Steps}: loss {state.Loss:F4}, metric {metric:F4}.");
            bool isBest = state.Best is not { } best || metric > best.Metric || (LaterWins && metric >= best.Metric);

            // A mean loss below the least counts as no improvement, as there is nothing left to learn.
            int updates = state.Step - ((state.Step - 1) / EvaluationInterval * EvaluationInterval);
            state.Stale = isBest && state.LossSum / updates >= LeastLoss ? 0 : state.Stale + 1;
            state.LossSum = 0;
            if (isBest)
            {
                state.Best = (metric, state.Step);
                objective.KeepBest(state);
            }
        }

        objective.Evaluated(state);
    }

    /// <summary>Whether training ends because the metric has stopped improving.</summary>
    private bool IsStale(TrainingState state) => state.Stale >= Patience;
}

/// <summary>The progress of a training.</summary>
/// <param name="Step">Number of completed updates.</param>
/// <param name="Steps">Maximum number of updates.</param>
/// <param name="Loss">The mean training loss of the last update, in nats.</param>
/// <param name="Metric">The latest value of the selection metric; null before the first evaluation.</param>
/// <param name="RowsPerSecond">Training rows per second since the start, evaluations included.</param>
public sealed record TrainingProgress(int Step, int Steps, double Loss, double? Metric, double RowsPerSecond);
