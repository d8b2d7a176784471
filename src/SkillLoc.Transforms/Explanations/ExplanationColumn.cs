using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Explanations;

namespace SkillLoc.Transforms;

/// <summary>A column that an explanation adds.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Getter">Makes its getter from what gives the current row's explanation.</param>
internal sealed record ExplanationColumn(string Name, DataViewType Type, Func<Func<TextExplanation>, Delegate> Getter)
{
    /// <summary>The columns in their order.</summary>
    /// <param name="prefix">What their names begin with.</param>
    /// <param name="hasCoordinates">Whether a graft is explained.</param>
    /// <param name="hasNeurons">Whether neurons are explained.</param>
    public static ExplanationColumn[] Of(string prefix, bool hasCoordinates, bool hasNeurons) =>
        [
            Text(prefix + "Label", row => row.Label),
            Number(prefix + "Logit", row => row.Logit),
            Number(prefix + "BaselineLogit", row => row.BaselineLogit),
            Number(prefix + "Delta", row => row.ConvergenceDelta),
            Texts(prefix + "Tokens", row => row.Tokens.Select(token => token.Token)),
            Vector(prefix + "Scores", NumberDataViewType.Single, row => row.Tokens.Select(token => (float)token.Score)),
            Vector(prefix + "Sentences", NumberDataViewType.Int32, row => row.Tokens.Select(token => token.Sentence)),
            Vector(prefix + "Starts", NumberDataViewType.Int32, row => row.Tokens.Select(token => token.Start)),
            Vector(prefix + "Lengths", NumberDataViewType.Int32, row => row.Tokens.Select(token => token.Length)),
            .. hasCoordinates ? Parts(prefix + "Coordinate", row => row.Coordinates!) : [],
            .. hasNeurons ? Parts(prefix + "Neuron", row => row.Neurons!) : [],
        ];

    private static ExplanationColumn[] Parts(string prefix, Func<TextExplanation, PartAttributions> of) =>
        [
            Texts(prefix + "s", row => of(row).Largest.Select(part => part.Name)),
            Vector(prefix + "Scores", NumberDataViewType.Single, row => of(row).Largest.Select(part => (float)part.Score)),
            Number(prefix + "Sum", row => of(row).Sum),
            Number(prefix + "Delta", row => of(row).ConvergenceDelta),
        ];

    private static ExplanationColumn Number(string name, Func<TextExplanation, double> read) =>
        new(name, NumberDataViewType.Single, row => (ValueGetter<float>)((ref float value) => value = (float)read(row())));

    private static ExplanationColumn Text(string name, Func<TextExplanation, string> read) =>
        new(
            name,
            TextDataViewType.Instance,
            row => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) => value = read(row()).AsMemory())
        );

    private static ExplanationColumn Texts(string name, Func<TextExplanation, IEnumerable<string>> read) =>
        Vector(name, TextDataViewType.Instance, row => read(row).Select(text => text.AsMemory()));

    private static ExplanationColumn Vector<T>(string name, PrimitiveDataViewType type, Func<TextExplanation, IEnumerable<T>> read) =>
        new(
            name,
            new VectorDataViewType(type),
            row =>
                (ValueGetter<VBuffer<T>>)(
                    (ref VBuffer<T> value) =>
                    {
                        T[] items = [.. read(row())];
                        var editor = VBufferEditor.Create(ref value, items.Length);
                        items.CopyTo(editor.Values);
                        value = editor.Commit();
                    }
                )
        );
}
