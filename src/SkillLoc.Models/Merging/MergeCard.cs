using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Merging;

/// <summary>The model card of a merged model.</summary>
internal static class MergeCard
{
    public static string Write(MergeReport report, MergeMethod method, MergeRecipe recipe, string yaml)
    {
        var text = new StringBuilder();
        text.Append("---\nlibrary_name: transformers\ntags:\n- merge\n- skillloc\n---\n\n# A merged model\n\n");
        text.Append(CultureInfo.InvariantCulture, $"Merged by SkillLoc with `{method.Name}`: {method.Summary} ({method.Origin}).\n\n");
        text.Append("## What went in\n\n| model | role | fingerprint of its weights |\n|---|---|---|\n");
        foreach (MergedModel model in report.Models)
        {
            string role = model.Name == report.BaseModel ? "base" : "merged";
            text.Append(
                CultureInfo.InvariantCulture,
                $"| `{model.Name.Replace("|", "\\|", StringComparison.Ordinal)}` | {role} | `{model.Fingerprint}` |\n"
            );
        }

        text.Append("\nA fingerprint is the SHA-256 of a model's tensors: names in ordinal order, shapes and float32 values.\n\n");
        text.Append("## Parameters\n\n| parameter | value | default |\n|---|---|---|\n");
        foreach (MergeParameter parameter in method.Parameters)
        {
            string value = string.Join(
                "; ",
                recipe
                    .AllInputs.Where(input => input.Parameters.ContainsKey(parameter.Name))
                    .Select(input => $"{input.Model}: {input.Parameters[parameter.Name]}")
                    .Concat(
                        recipe
                            .AllSlices.Select(slice => slice.Parameters)
                            .Concat(recipe.Modules.Select(module => module.Parameters))
                            .Append(recipe.Parameters)
                            .Where(settings => settings.ContainsKey(parameter.Name))
                            .Select(settings => $"{settings[parameter.Name]}")
                    )
            );
            text.Append(
                CultureInfo.InvariantCulture,
                $"| `{parameter.Name}` | {(value.Length > 0 ? value.Replace("|", "\\|", StringComparison.Ordinal) : "the default")} | "
                    + $"{(parameter.Default is { } fallback ? $"{fallback}" : "none")} |\n"
            );
        }

        text.Append(CultureInfo.InvariantCulture, $"| seed | {report.Seed} | 0 |\n");
        if (recipe.Copied.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"| copied from the first model | {string.Join(", ", recipe.Copied)} | none |\n");
        }

        text.Append(
            CultureInfo.InvariantCulture,
            $"\n{report.Tensors} tensors with {report.Scalars} scalars.\n\n## Recipe\n\n```yaml\n{yaml}```\n"
        );
        return text.ToString();
    }
}
