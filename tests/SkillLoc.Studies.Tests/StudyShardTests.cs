namespace SkillLoc.Studies.Tests;

public sealed class StudyShardTests
{
    [Theory]
    [InlineData("3/16", 3, 16)]
    [InlineData("0/1", 0, 1)]
    public void AShardIsWritten(string text, int index, int count) => Assert.Equal(new(index, count), StudyShard.Parse(text));

    [Theory]
    [InlineData("16/16")]
    [InlineData("-1/2")]
    [InlineData("1")]
    [InlineData("1/2/3")]
    [InlineData("a/b")]
    [InlineData("")]
    public void OthersAreNone(string text) => Assert.Throws<ArgumentException>(() => StudyShard.Parse(text));

    [Theory]
    [InlineData("", 0, 1)]
    [InlineData("SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=3", 2, 4)]
    [InlineData("SLURM_ARRAY_TASK_ID=9 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_STEP=2", 3, 4)]
    [InlineData("JOB_COMPLETION_INDEX=7 SKILLLOC_SHARDS=8", 7, 8)]
    public void ASchedulerSaysWhich(string variables, int index, int count) =>
        Assert.Equal(new(index, count), StudyShard.FromEnvironment(name => Of(variables, name)));

    [Theory]
    [InlineData("JOB_COMPLETION_INDEX=7")]
    [InlineData("JOB_COMPLETION_INDEX=8 SKILLLOC_SHARDS=8")]
    [InlineData("JOB_COMPLETION_INDEX=x SKILLLOC_SHARDS=8")]
    [InlineData("SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=0")]
    public void VariablesThatMakeNoSenseAreRefused(string variables) =>
        Assert.Throws<ArgumentException>(() => StudyShard.FromEnvironment(name => Of(variables, name)));

    private static string? Of(string variables, string name) =>
        variables.Split(' ').Select(each => each.Split('=')).FirstOrDefault(each => each[0] == name)?[1];
}
