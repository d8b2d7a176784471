using System.Diagnostics;
using Microsoft.ML.Runtime;

namespace SkillLoc.Trainers;

/// <summary>What a training does in each update; <see cref="TrainingLoop"/> does the rest.</summary>
internal abstract class TrainingObjective
{
    /// <summary>Reads the state that training goes on from; null starts anew.</summary>
    public virtual TrainingState? Resume() => null;

    /// <summary>One update; adds the rows that it used to the state.</summary>
    /// <param name="state">Where training is; its step counts the updates before this one.</param>
    /// <returns>The loss.</returns>
    public abstract double Step(TrainingState state);

    /// <summary>The metric that the best state is chosen by; null where there is nothing to choose by.</summary>
    public virtual double? Validate(TrainingState state) => null;

    /// <summary>Called when the state is the best so far.</summary>
    public virtual void KeepBest(TrainingState state)
    {
    }

    /// <summary>Called after each evaluation, whether there is something to choose by or not.</summary>
    public virtual void Evaluated(TrainingState state)
    {
    }

    /// <summary>Called after each update, when all else is done.</summary>
    public virtual void Updated(TrainingState state)
    {
    }

    /// <summary>Writes the state that training can go on from.</summary>
    public virtual void Save(TrainingState state)
    {
    }

    /// <summary>Tells the caller's own progress.</summary>
    public virtual void Report(TrainingState state)
    {
    }

    /// <summary>What is said where the loss is not finite.</summary>
    public abstract string Diverged(TrainingState state);
}

/// <summary>
/// The loop of every training (methods, A.9): update, evaluate, keep the best, save the state, tell how far it is; until all updates are
/// done, the metric no longer improves, or it is cancelled.
/// </summary>
/// <param name="host">The trainer's.</param>
/// <param name="channel">The trainer's.</param>
internal sealed class TrainingLoop(ComponentHost host, IChannel channel)
{
    /// <summary>A mean loss below which training has nothing left to learn (methods, C.2).</summary>
    private const double LeastLoss = 1e-7;

    /// <summary>What ML.NET's log calls the training.</summary>
    public required string Name { get; init; }

    /// <summary>The updates of the whole training.</summary>
    public required int Steps { get; init; }

    /// <summary>Updates between evaluations; there is always one after the last update.</summary>
    public int EvaluationInterval { get; init; } = 1;

    /// <summary>Updates between writes of the state.</summary>
    public int StateInterval { get; init; } = int.MaxValue;

    /// <summary>Ends training after so many evaluations in a row that did not improve; null never does.</summary>
    public int? Patience { get; init; }

    /// <summary>Whether of equally good states the later is the best, as in the paper's fine-tuning; else the earlier.</summary>
    public bool LaterWins { get; init; } = true;

    /// <summary>What an update is called.</summary>
    public string Unit { get; init; } = "update";

    /// <summary>Ends training, as does the end of the context's execution.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Trains, from the start or from where a stored state stands.</summary>
    /// <exception cref="InvalidOperationException">The loss is not finite.</exception>
    public TrainingState Run(TrainingObjective objective)
    {
        TrainingState state = objective.Resume() ?? new();
        double secondsBefore = state.Seconds;
        using CancellationWatch cancellation = host.Watch(Cancellation);
        using IProgressChannel progress = host.StartProgressChannel(Name);
        progress.SetHeader(new ProgressHeader(["loss", "metric"], [Unit + "s"]), entry =>
        {
            entry.SetProgress(0, state.Step, Steps);
            entry.SetMetric(0, state.Loss);
            entry.SetMetric(1, state.Metric ?? double.NaN);
        });
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

    /// <summary>Whether the metric has not improved for so long that training ends.</summary>
    private bool IsStale(TrainingState state) => state.Stale >= Patience;
}
