using Microsoft.ML;

namespace SkillLoc.Demo;

/// <summary>Rows that are measured on only.</summary>
public sealed record TestSet(string Name, string About, IDataView Rows);
