using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;

namespace SkillLoc.Transforms.Tests;

public sealed class TextToTextDataTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ATaskIsLoadedWithAllItsAnswers()
    {
        Write("t_train.tsv", "question: who?\tAnne\tAnne B.\nquestion: what?\tÅ\n");
        IDataView view = _ml.SkillLoc().Data.LoadTextToText(_folder);
        Assert.Equal(["Answers", "Label", "Text"], view.Schema.Select(column => column.Name).Order(StringComparer.Ordinal));
        Assert.Equal(["question: who?", "question: what?"], view.GetColumn<string>("Text"));
        Assert.Equal(["Anne", "Å"], view.GetColumn<string>("Label"));
        Assert.Equal(
            [
                ["Anne", "Anne B."],
                ["Å"],
            ],
            view.GetColumn<string[]>("Answers")
        );

        VectorDataViewType type = Assert.IsType<VectorDataViewType>(view.Schema["Answers"].Type);
        Assert.IsType<TextDataViewType>(type.ItemType);
        Assert.False(type.IsKnownSize);

        // The first answer is a label as any other.
        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        Assert.Equal([1u, 2u], keyed.GetColumn<uint>("Label"));
    }

    [Fact]
    public void PrefixSplitHalfLengthAndLettersAreChosen()
    {
        Write("a_train.tsv", "1\tneutral\n2\tentailment\n3\tcontradiction\n4\tneutral\n5\tneutral\n");
        Write("b_dev.tsv", "6\tx\n");
        IDataView view = _ml.SkillLoc()
            .Data.LoadTextToText(
                _folder,
                prefix: "a",
                maxRows: 2,
                half: TrainingHalf.Second,
                answerMap: TextToTextFolder.CartographyLetters
            );
        Assert.Equal(["3", "4"], view.GetColumn<string>("Text"));
        Assert.Equal(["c", "b"], view.GetColumn<string>("Label"));
        Assert.Equal(["6"], _ml.SkillLoc().Data.LoadTextToText(_folder, DataSplit.Dev, "b").GetColumn<string>("Text"));
        Assert.Contains(
            "files of a, b; name one",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadTextToText(_folder)).Message
        );
        Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().Data.LoadTextToText(_folder, DataSplit.Test, "a"));
    }

    [Fact]
    public void RowsInMemoryAreAView()
    {
        IDataView view = _ml.SkillLoc().Data.LoadTextToTextRows([new("a", ["x", "y"]), new("b", ["z"])]);
        Assert.Equal(["x", "z"], view.GetColumn<string>("Label"));
        Assert.Equal(
            [
                ["x", "y"],
                ["z"],
            ],
            view.GetColumn<string[]>("Answers")
        );
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadTextToTextRows([]));
        Assert.Contains(
            "Row 1",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadTextToTextRows([new("a", ["x"]), new("b", [])])).Message
        );
    }

    [Fact]
    public void BadInputIsFoundAtTheCall()
    {
        Write("t_train.tsv", "a\tb\nno tab\n");
        Assert.Contains(
            "t_train.tsv, line 2",
            Assert.Throws<InvalidDataException>(() => _ml.SkillLoc().Data.LoadTextToText(_folder)).Message
        );
        Assert.Throws<DirectoryNotFoundException>(() => _ml.SkillLoc().Data.LoadTextToText(Path.Join(_folder, "absent")));
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Join(_folder, name), text);
}
