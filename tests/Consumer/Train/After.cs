// After the README's snippet: what the model says in the process that made it.
File.WriteAllLines(
    "trained.tsv",
    graft.Transform(keys.Transform(test)).GetColumn<float[]>("Score").Select(scores => string.Join('\t', scores))
);
File.WriteAllText("torch.txt", SkillLoc.Models.Runtime.TorchRuntime.Description);
