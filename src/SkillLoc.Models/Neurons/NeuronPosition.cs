namespace SkillLoc.Models.Neurons;

/// <summary>A feed-forward neuron and the slot of the soft prompt at which it is read.</summary>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Neuron">Zero-based neuron of that layer.</param>
/// <param name="Slot">Zero-based slot of the soft prompt, 0 being the mask slot (of a masked model); 0 as well where neurons are read over
/// the text.</param>
public sealed record NeuronPosition(int Layer, int Neuron, int Slot = 0);
