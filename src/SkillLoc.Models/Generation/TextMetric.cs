namespace SkillLoc.Models.Generation;

/// <summary>The metric of generated text against the answers of a row (methods, C.5); see <see cref="TextMetrics"/>.</summary>
public enum TextMetric
{
    /// <summary><c>ACC</c>: the share of rows whose text equals an answer, ignoring case.</summary>
    Accuracy,

    /// <summary><c>Classification-F1</c>: the mean F1 of the labels that occur among the first answers.</summary>
    ClassificationF1,

    /// <summary><c>EM</c>: the share of rows whose text equals an answer, ignoring case, punctuation, articles and spaces.</summary>
    ExactMatch,

    /// <summary><c>QA-F1</c>: the mean F1 of the words that a row's text and its best answer have in common.</summary>
    QuestionAnsweringF1,

    /// <summary><c>Matthew-Correlation</c>: Matthews' correlation of the text <c>acceptable</c> (CoLA).</summary>
    MatthewsCorrelation,

    /// <summary><c>Pearson-Correlation</c>: Pearson's correlation of texts that are numbers.</summary>
    PearsonCorrelation,

    /// <summary><c>Rouge-L</c>: the mean F1 of the longest common subsequence of words of a row's text and its best answer.</summary>
    RougeL,
}
