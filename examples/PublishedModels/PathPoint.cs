namespace SkillLoc.PublishedModels;

/// <summary>A model on the way from one to the other.</summary>
/// <param name="Method">How it was merged: linear or slerp.</param>
/// <param name="T">The place, 0 for the first model and 1 for the second.</param>
/// <param name="Pooling">How hidden states become one vector.</param>
/// <param name="Paraphrases">The share of sentences whose nearest neighbour is their paraphrase.</param>
/// <param name="Questions">The share of questions whose nearest neighbour asks for the same kind of thing.</param>
/// <param name="FineTuned">Accuracies after fine-tuning, one a seed; empty where it was not measured.</param>
public sealed record PathPoint(
    string Method,
    double T,
    string Pooling,
    double Paraphrases,
    double Questions,
    IReadOnlyList<double> FineTuned
);
