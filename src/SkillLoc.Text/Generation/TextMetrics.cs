using System.Globalization;
using System.Text.RegularExpressions;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Generation;

/// <summary>
/// Evaluates generated text as in Qin et al. (2022), Exploring mode connectivity for pre-trained language models (methods, C.5). Higher is
/// better, 1 is best.
/// </summary>
public static partial class TextMetrics
{
    private const string Acceptable = "acceptable";

    /// <summary>Returns the name of a metric in the paper's code and result files.</summary>
    /// <param name="metric">The metric.</param>
    /// <returns><c>ACC</c>, <c>Classification-F1</c>, <c>EM</c>, <c>QA-F1</c>, <c>Matthew-Correlation</c>, <c>Pearson-Correlation</c> or
    /// <c>Rouge-L</c>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The metric is undefined.</exception>
    public static string NameOf(TextMetric metric) =>
        metric switch
        {
            TextMetric.Accuracy => "ACC",
            TextMetric.ClassificationF1 => "Classification-F1",
            TextMetric.ExactMatch => "EM",
            TextMetric.QuestionAnsweringF1 => "QA-F1",
            TextMetric.MatthewsCorrelation => "Matthew-Correlation",
            TextMetric.PearsonCorrelation => "Pearson-Correlation",
            TextMetric.RougeL => "Rouge-L",
            _ => throw Unknown(metric),
        };

    /// <summary>Evaluates the texts generated for a set of rows.</summary>
    /// <param name="metric">The metric.</param>
    /// <param name="predictions">The generated texts, without special tokens and without spaces at their ends.</param>
    /// <param name="answers">The answers of each row, at least one; all equivalent, except that <see cref="TextMetric.ClassificationF1"/>,
    /// <see cref="TextMetric.MatthewsCorrelation"/> and <see cref="TextMetric.PearsonCorrelation"/> use only the first.</param>
    /// <returns>The value: the mean over the rows of the best score over a row's answers, or a measure of the whole set. NaN only for
    /// <see cref="TextMetric.PearsonCorrelation"/>: if a prediction is not a finite number, or all predictions or all answers are
    /// equal.</returns>
    /// <remarks>
    /// <para><see cref="TextMetric.ClassificationF1"/> compares labels as they are written, case included, as scikit-learn's
    /// <c>f1_score</c> does on texts; a prediction that is not the first answer of any row counts as a miss and not as a class.</para>
    /// <para><see cref="TextMetric.QuestionAnsweringF1"/> and <see cref="TextMetric.ExactMatch"/> take texts in lower case without ASCII
    /// punctuation, the words a, an and the, and superfluous spaces. Where nothing remains of a text, the F1 is 1 if nothing remains of the
    /// answer either and else 0, as in SQuAD 2.0's script (that of 1.1 gives 0 in both cases, less than the exact match).</para>
    /// <para><see cref="TextMetric.MatthewsCorrelation"/> distinguishes the text <c>acceptable</c> from all others, and is 0 if
    /// undefined.</para>
    /// <para><see cref="TextMetric.PearsonCorrelation"/> parses trimmed numbers like <c>double.Parse</c> in the invariant culture,
    /// exponents included. Unlike Python's <c>float</c>, it does not accept underscores as in <c>1_000</c> or non-ASCII digits.</para>
    /// <para><see cref="TextMetric.RougeL"/> is 2PR / (P + R) over the words between white space, case and punctuation included (the
    /// package <c>rouge</c> cuts texts at full stops too), and 0 for a prediction of nothing but ASCII punctuation and spaces.</para>
    /// </remarks>
    /// <exception cref="ArgumentException">There are no rows, the number of predictions differs, a row has no answers, or, for
    /// <see cref="TextMetric.PearsonCorrelation"/>, its first answer is not a finite number.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The metric is undefined.</exception>
    public static double Evaluate(TextMetric metric, IReadOnlyList<string> predictions, IReadOnlyList<IReadOnlyList<string>> answers)
    {
        Check(predictions, answers);
        return metric switch
        {
            TextMetric.Accuracy => Scores(IsSame, predictions, answers).Average(),
            TextMetric.ClassificationF1 => MacroF1(predictions, answers),
            TextMetric.ExactMatch => NormalizedScores(
                    (text, answer) => string.Equals(text, answer, StringComparison.Ordinal) ? 1 : 0,
                    predictions,
                    answers
                )
                .Average(),
            TextMetric.QuestionAnsweringF1 => NormalizedScores(WordF1, predictions, answers).Average(),
            TextMetric.MatthewsCorrelation => ClassificationMetric.Evaluate(
                PromptMetric.MatthewsCorrelation,
                [.. answers.Select(row => IsAcceptable(row[0]))],
                [.. predictions.Select(IsAcceptable)]
            ),
            TextMetric.PearsonCorrelation => Pearson(predictions, answers),
            TextMetric.RougeL => Scores(RougeL, predictions, answers).Average(),
            _ => throw Unknown(metric),
        };
    }

    /// <summary>Returns the scores of single rows, for the metrics by which forgetting along a path is measured (methods, C.4).</summary>
    /// <param name="metric">The metric.</param>
    /// <param name="predictions">The generated texts, as for <see cref="Evaluate"/>.</param>
    /// <param name="answers">The answers of each row, at least one.</param>
    /// <returns>
    /// One score per row: for <see cref="TextMetric.Accuracy"/> and <see cref="TextMetric.ClassificationF1"/> 1 if the text is one of the
    /// answers, ignoring case, and else 0; for <see cref="TextMetric.QuestionAnsweringF1"/> the F1 of the best answer. Null for the other
    /// metrics.
    /// </returns>
    /// <exception cref="ArgumentException">There are no rows, the number of predictions differs, or a row has no answers.</exception>
    public static double[]? RowScores(TextMetric metric, IReadOnlyList<string> predictions, IReadOnlyList<IReadOnlyList<string>> answers)
    {
        Check(predictions, answers);
        return metric switch
        {
            TextMetric.Accuracy or TextMetric.ClassificationF1 => Scores(IsSame, predictions, answers),
            TextMetric.QuestionAnsweringF1 => NormalizedScores(WordF1, predictions, answers),
            _ => null,
        };
    }

    /// <summary>Whether <see cref="TextMetric.PearsonCorrelation"/> can parse a text.</summary>
    /// <param name="text">A prediction or an answer.</param>
    /// <returns>True for a finite number.</returns>
    public static bool IsNumber(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return double.IsFinite(Number(text));
    }

    private static void Check(IReadOnlyList<string> predictions, IReadOnlyList<IReadOnlyList<string>> answers)
    {
        ArgumentNullException.ThrowIfNull(predictions);
        ArgumentNullException.ThrowIfNull(answers);
        if (predictions.Count == 0 || predictions.Count != answers.Count)
        {
            throw new ArgumentException(
                $"There are {predictions.Count} predictions and {answers.Count} rows of answers.",
                nameof(predictions)
            );
        }

        for (int row = 0; row < answers.Count; row++)
        {
            if (answers[row].Count == 0)
            {
                throw new ArgumentException($"Row {row} has no answers.", nameof(answers));
            }
        }
    }

    /// <summary>Returns the score of the best answer of each row.</summary>
    private static double[] Scores(
        Func<string, string, double> score,
        IReadOnlyList<string> predictions,
        IReadOnlyList<IReadOnlyList<string>> answers
    ) => [.. predictions.Zip(answers, (prediction, row) => row.Max(answer => score(prediction, answer)))];

    private static double[] NormalizedScores(
        Func<string, string, double> score,
        IReadOnlyList<string> predictions,
        IReadOnlyList<IReadOnlyList<string>> answers
    ) =>
        [
            .. predictions.Zip(
                answers,
                (prediction, row) =>
                {
                    string text = Normalize(prediction);
                    return row.Max(answer => score(text, Normalize(answer)));
                }
            ),
        ];

    private static double IsSame(string text, string answer) => string.Equals(Lower(text), Lower(answer), StringComparison.Ordinal) ? 1 : 0;

    private static int IsAcceptable(string text) => string.Equals(text, Acceptable, StringComparison.Ordinal) ? 1 : 0;

    private static double MacroF1(IReadOnlyList<string> predictions, IReadOnlyList<IReadOnlyList<string>> answers)
    {
        // A label's F1 is 2 TP / (2 TP + FP + FN), and the denominator counts its rows and its predictions.
        Dictionary<string, (int Right, int Counted)> labels = new(StringComparer.Ordinal);
        foreach (IReadOnlyList<string> row in answers)
        {
            labels[row[0]] = (0, labels.GetValueOrDefault(row[0]).Counted + 1);
        }

        for (int row = 0; row < predictions.Count; row++)
        {
            if (labels.TryGetValue(predictions[row], out (int Right, int Counted) label))
            {
                bool isRight = string.Equals(predictions[row], answers[row][0], StringComparison.Ordinal);
                labels[predictions[row]] = (label.Right + (isRight ? 1 : 0), label.Counted + 1);
            }
        }

        return labels.Values.Average(label => 2.0 * label.Right / label.Counted);
    }

    private static double Pearson(IReadOnlyList<string> predictions, IReadOnlyList<IReadOnlyList<string>> answers)
    {
        double[] truth = new double[answers.Count];
        for (int row = 0; row < truth.Length; row++)
        {
            truth[row] = Number(answers[row][0]);
            if (!double.IsFinite(truth[row]))
            {
                throw new ArgumentException(
                    $"Row {row} has the first answer '{answers[row][0]}'; {NameOf(TextMetric.PearsonCorrelation)} needs a finite number.",
                    nameof(answers)
                );
            }
        }

        // A number that is not finite makes the correlation NaN.
        return Correlation.Pearson(truth, [.. predictions.Select(Number)]);
    }

    private static double Number(string text) =>
        double.TryParse(text.AsSpan().Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN;

    /// <summary>Returns the F1 of the words of two normalised texts, counting repeated words.</summary>
    private static double WordF1(string text, string answer)
    {
        string[] words = Words(text),
            right = Words(answer);
        if (words.Length == 0 || right.Length == 0)
        {
            return words.Length == right.Length ? 1 : 0;
        }

        var left = right.CountBy(word => word, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        int common = 0;
        foreach (string word in words)
        {
            if (left.TryGetValue(word, out int count) && count > 0)
            {
                left[word] = count - 1;
                common++;
            }
        }

        return F1(common, words.Length, right.Length);
    }

    private static double RougeL(string text, string answer)
    {
        if (text.All(letter => IsPunctuation(letter) || char.IsWhiteSpace(letter)))
        {
            return 0;
        }

        string[] words = Words(text),
            right = Words(answer);
        return F1(LongestCommonSubsequence(words, right), words.Length, right.Length);
    }

    private static int LongestCommonSubsequence(string[] first, string[] second)
    {
        // lengths[j] is that of the words of the first so far and the first j words of the second.
        int[] lengths = new int[second.Length + 1];
        foreach (string word in first)
        {
            int diagonal = 0;
            for (int j = 1; j <= second.Length; j++)
            {
                int above = lengths[j];
                lengths[j] = string.Equals(word, second[j - 1], StringComparison.Ordinal) ? diagonal + 1 : Math.Max(above, lengths[j - 1]);
                diagonal = above;
            }
        }

        return lengths[^1];
    }

    /// <summary>2PR / (P + R) with P = common / predicted and R = common / expected.</summary>
    private static double F1(int common, int predicted, int expected) => 2.0 * common / (predicted + expected);

    /// <summary>SQuAD's <c>normalize_answer</c>: words in lower case with single spaces, without punctuation and articles.</summary>
    private static string Normalize(string text) =>
        string.Join(' ', Words(Articles().Replace(string.Concat(Lower(text).Where(letter => !IsPunctuation(letter))), " ")));

    private static string[] Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Whether a character is in Python's <c>string.punctuation</c>.</summary>
    private static bool IsPunctuation(char letter) => char.IsAscii(letter) && (char.IsPunctuation(letter) || char.IsSymbol(letter));

    private static string Lower(string text) => text.ToLowerInvariant();

    private static ArgumentOutOfRangeException Unknown(TextMetric metric) => new(nameof(metric), metric, "There is no such metric.");

    [GeneratedRegex(@"\b(?:a|an|the)\b", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Articles();
}

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
