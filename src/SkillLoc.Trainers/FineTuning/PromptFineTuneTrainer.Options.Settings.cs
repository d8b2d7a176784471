using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class PromptFineTuneTrainer
{
    public sealed partial class Options
    {
        /// <summary>The input and output columns of the task.</summary>
        internal ScoringColumns Columns() =>
            new()
            {
                Text = TextColumnName,
                TextPair = HasTextPair() ? TextPairColumnName ?? "TextPair" : null,
                Score = ScoreColumnName,
                PredictedLabel = PredictedLabelColumnName,
                PredictedText = PredictedTextColumnName,
            };

        /// <summary>The classifier's settings for training rows.</summary>
        /// <exception cref="ArgumentException">A column is missing or of another type, a label is not one of the task's, or the task has no
        /// prompt for the checkpoint's kind of model.</exception>
        internal ClassifierSettings Settings(DataViewSchema schema)
        {
            ScoringSchema.CheckInputs(schema, Columns());
            if (Task is TextToTextTask writing)
            {
                return Settings(schema, writing);
            }

            IReadOnlyList<string>? values = null;
            int keys = 2;
            if (MultiLabel)
            {
                values = LabelValues.OfSets(schema, LabelColumnName);
            }
            else if (IsRegression)
            {
                LabelValues.CheckScores(schema, LabelColumnName);
            }
            else
            {
                values = LabelValues.Of(schema, LabelColumnName, out keys);
            }

            return Settings(values, keys, Models.Checkpoints.CheckpointFolder.ReadConfig(Checkpoint));
        }

        /// <summary>The settings of a model that writes its answers.</summary>
        /// <exception cref="ArgumentException">A label has no answer, or there are no labels and answers are given.</exception>
        private ClassifierSettings Settings(DataViewSchema schema, TextToTextTask task)
        {
            IReadOnlyList<string> labels = [];
            if (!LabelValues.AreAnswers(schema, LabelColumnName))
            {
                labels = LabelValues.Of(schema, LabelColumnName, out int keys) ?? Numbers(keys);
                RequireTwo(labels);
            }
            else if (ClassWeights is not null || Sampling == RowSampling.Balanced)
            {
                throw new ArgumentException(
                    $"Options.ClassWeights and Options.Sampling balance labels, and the label column '{LabelColumnName}' is text: put "
                        + $"mlContext.Transforms.Conversion.MapValueToKey(\"{LabelColumnName}\") before the trainer, or leave them out."
                );
            }
            else if (task.Answers is not null)
            {
                throw new ArgumentException(
                    $"The answers of Options.Task are those of labels, and the label column '{LabelColumnName}' is text, which holds "
                        + "the answers themselves."
                );
            }
            else if (CartographyPath is not null)
            {
                throw new ArgumentException(
                    $"Options.CartographyPath records the probability of the right label, and the label column '{LabelColumnName}' is "
                        + "text: put "
                        + $"mlContext.Transforms.Conversion.MapValueToKey(\"{LabelColumnName}\") before the trainer, or leave it out."
                );
            }

            return new()
            {
                Task = task.Name,
                Head = HeadKind,
                TextToText = task with { Answers = null },
                Labels = labels,
                Words = task.Answers is null ? null : [.. labels.Select(Answer)],
                HasTextPair = HasTextPair(),
                MaxLength = MaxLength ?? task.MaxInputLength,
                Truncation = Truncation,
                Trained = Tuning is null ? Selection : null,
                Tuning = Tuning,
            };

            string Answer(string label) =>
                task.Answers.TryGetValue(label, out string? answer)
                    ? answer
                    : throw new ArgumentException(
                        $"The label column '{LabelColumnName}' has the label '{label}', and Options.Task has answers for "
                            + $"{string.Join(", ", task.Answers.Keys.Select(known => $"'{known}'"))} only."
                    );
        }

        /// <summary>
        /// The classifier's settings. Scores stand in the order of the label column's keys, as ML.NET's evaluators expect.
        /// </summary>
        /// <exception cref="ArgumentException">A label is not one of the task's, or the task has no prompt for the checkpoint's kind of
        /// model.</exception>
        private ClassifierSettings Settings(IReadOnlyList<string>? keyValues, int keys, ModelConfig config)
        {
            AutoregressivePrompt? prompt =
                config.IsCausal && HeadKind == HeadKind.LabelWords
                    ? Prompt!.Autoregressive
                        ?? throw new ArgumentException(
                            $"The task '{Prompt.Name}' has no autoregressive prompt, which a causal model ({config.ModelType} in "
                                + $"{Checkpoint}) needs: set "
                                + $"{nameof(PromptTask)}.{nameof(PromptTask.Autoregressive)}, or use "
                                + $"{nameof(HeadKind)}.{HeadKind.SequenceClassification}."
                        )
                    : null;
            Verbalizer? verbalizer = HasTemplate ? Prompt!.Verbalizer : null;
            IReadOnlyList<string> labels =
                keyValues ?? (verbalizer is not null && verbalizer.Count == keys ? verbalizer.Labels : Numbers(keys));
            RequireTwo(labels);
            bool isPrompted = Tuning is not SoftPromptOptions;
            return new()
            {
                Task = Task?.Name ?? "",
                Head = HeadKind,
                Template = HasTemplate && isPrompted && prompt is null ? Prompt!.Template.ToString() : null,
                AutoregressiveTemplate = isPrompted ? prompt?.Template.ToString() : null,
                OptionScoring = prompt?.Scoring ?? OptionScoring.Auto,
                Labels = labels,
                Words = verbalizer is null
                    ? null
                    : [.. labels.Select(label => Word(verbalizer, prompt?.Options ?? verbalizer.Words, label))],
                ScoreRange = Prompt?.ScoreRange,
                Thresholds = MultiLabel ? [.. labels.Select(_ => LabelThresholds.Usual)] : null,
                HasTextPair = HasTextPair(),
                MaxLength =
                    MaxLength
                    ?? (
                        config.IsCausal
                            ? prompt?.MaxLength ?? AutoregressivePrompt.DefaultMaxLength
                            : Prompt?.MaxLength ?? PromptTask.DefaultMaxLength
                    ),
                FirstSentenceLimit = Prompt?.FirstSentenceLimit,
                OtherSentenceLimit = Prompt?.OtherSentenceLimit,
                Truncation = Truncation,
                Metric = Prompt?.Metric ?? PromptMetric.Accuracy,
                Trained = Tuning is null ? Selection : null,
                Tuning = Tuning,
            };
        }

        /// <exception cref="ArgumentException">There are fewer than two labels.</exception>
        private void RequireTwo(IReadOnlyList<string> labels)
        {
            if (labels.Count < 2)
            {
                throw new ArgumentException(
                    $"The label column '{LabelColumnName}' of the training data holds "
                        + $"{(labels.Count == 0 ? "no label" : $"the label '{labels[0]}' only")}; a "
                        + "classifier needs two or more. Are the rows of one class, or is another column the label?"
                );
            }
        }

        /// <summary>The names of labels whose keys have no values.</summary>
        private static string[] Numbers(int keys) => [.. Enumerable.Range(0, keys).Select(i => i.ToString(CultureInfo.InvariantCulture))];

        private string Word(Verbalizer verbalizer, IReadOnlyList<string> words, string label)
        {
            int index = verbalizer.IndexOf(label);
            return index >= 0
                ? words[index]
                : throw new ArgumentException(
                    $"The label column '{LabelColumnName}' has the label '{label}', and the task '{Task!.Name}' has words for "
                        + $"{string.Join(", ", verbalizer.Labels.Select(known => $"'{known}'"))} only. Give words of your own, one "
                        + "for each label: Task = task with "
                        + $"{{ Verbalizer = new Verbalizer([new(\"{label}\", \"a word\"), ...]) }}, or describe the task in JSON "
                        + "(PromptTasks.Load); or take a head that "
                        + "needs none: Head = HeadKind.SequenceClassification."
                );
        }

        /// <summary>
        /// Everything that affects the result of a run beside checkpoint and data, by name in snake_case: numbers, flags and choices, the
        /// classifier's settings, and the fingerprints of regions.
        /// </summary>
        internal RunDescription Describe(ClassifierSettings settings)
        {
            var run = new RunDescription(this, nameof(Checkpoints), nameof(CheckpointInterval), nameof(StateInterval));
            run.Put(nameof(Head), settings.Head);
            run.Put(nameof(settings.TextToText), settings.TextToText);
            run.Put(nameof(settings.OptionScoring), settings.OptionScoring);
            run.Put(nameof(settings.Template), settings.Template);
            run.Put(nameof(settings.Labels), string.Join('|', settings.Labels));
            run.Put(nameof(settings.AutoregressiveTemplate), settings.AutoregressiveTemplate);
            run.Put(nameof(settings.ScoreRange), settings.ScoreRange);
            run.Put(nameof(settings.Words), settings.Words is null ? null : string.Join('|', settings.Words));
            run.Put(nameof(settings.MaxLength), settings.MaxLength);
            run.Put(nameof(settings.FirstSentenceLimit), settings.FirstSentenceLimit);
            run.Put(nameof(settings.OtherSentenceLimit), settings.OtherSentenceLimit);
            run.Put(nameof(settings.Metric), settings.Metric);
            run.Put(nameof(ExampleWeightColumnName), ExampleWeightColumnName);
            run.Put(nameof(ClassWeights), ClassWeights);
            run.Put(nameof(Tuning), Tuning?.ToJson());
            run.Put(nameof(StartFrom), StartFrom.Count == 0 ? null : GraftPart.Fingerprint(StartFrom.SelectMany(graft => graft.Parts)));
            run.Put(nameof(Frozen), Frozen.Count == 0 ? null : GraftPart.Fingerprint(Frozen.SelectMany(graft => graft.Parts)));
            run.Put(nameof(Region), Region is null ? null : GraftPart.Fingerprint(Region));
            return run;
        }
    }
}
