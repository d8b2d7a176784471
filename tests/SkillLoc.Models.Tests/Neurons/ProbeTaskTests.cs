using SkillLoc.Models.Neurons;

namespace SkillLoc.Models.Tests.Neurons;

public sealed class ProbeTaskTests
{
    [Fact]
    public void OneVersusRestIsBalancedAndKeepsTheFirstRows()
    {
        IReadOnlyList<ProbeTask> tasks = ProbeTask.OneVersusRest([0, 1, 2, 1, 1, 0, 2, 1], ["a", "b", "c"]);
        Assert.Equal(["a", "b", "c"], tasks.Select(task => task.Name));
        Assert.Equal([true, false, false, null, null, true, null, null], tasks[0].Labels);
        Assert.Equal([false, true, false, true, true, false, false, true], tasks[1].Labels);
        Assert.Equal([false, false, true, null, null, null, true, null], tasks[2].Labels);
    }

    [Fact]
    public void MoreThanTwoLabelsNeedSubtasks()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => ProbeTask.Binary([0, 1, 2]));
        Assert.Contains("label 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(ProbeTask.OneVersusRest), error.Message, StringComparison.Ordinal);
        Assert.Equal([false, true], ProbeTask.Binary([0, 1]).Labels);
    }

    [Fact]
    public void AClassWithoutRowsIsNamed()
    {
        Assert.Contains(
            "0 rows of its label",
            Assert.Throws<ArgumentException>(() => ProbeTask.Binary([0, 0])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'c'",
            Assert.Throws<ArgumentException>(() => ProbeTask.OneVersusRest([0, 1], ["a", "b", "c"])).Message,
            StringComparison.Ordinal
        );
    }
}
