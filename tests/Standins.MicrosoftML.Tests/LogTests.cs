using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace Standins.MicrosoftML.Tests;

public sealed class LogTests
{
    [Fact]
    public void What_a_component_says_reaches_the_log()
    {
        var ml = new MLContext(seed: 1);
        var log = new List<LoggingEventArgs>();
        ml.Log += (_, e) => log.Add(e);
        var host = ((IHostEnvironment)ml).Register("GraftMask");
        using (var channel = host.Start("Training"))
        {
            channel.Info(MessageSensitivity.None, "epoch {0} of {1}", 1, 2);
            channel.Warning(MessageSensitivity.None, "100% {sure}");
        }

        var info = log.Single(e => e.Kind == ChannelMessageKind.Info);
        Assert.Equal("GraftMask; Training", info.Source);
        Assert.Equal("epoch 1 of 2", info.RawMessage);
        Assert.Equal("[Source=GraftMask; Training, Kind=Info] epoch 1 of 2", info.Message);
        Assert.Equal("100% {sure}", log.Single(e => e.Kind == ChannelMessageKind.Warning).RawMessage);
    }

    [Fact]
    public void Progress_can_be_reported_without_a_listener()
    {
        var ml = new MLContext(seed: 1);
        using var progress = ((IHostEnvironment)ml).Register("GraftMask").StartProgressChannel("Training");
        progress.SetHeader(new ProgressHeader(["loss"], ["epochs"]), entry =>
        {
            entry.SetProgress(0, 1, 2);
            entry.SetMetric(0, 0.5);
        });
        progress.Checkpoint(0.5, 1);
    }

    [Fact]
    public void Hosts_draw_the_same_random_numbers_from_the_same_seed()
    {
        double Draw(int seed) => ((IHostEnvironment)new MLContext(seed)).Register("A").Rand.NextDouble();
        Assert.Equal(Draw(1), Draw(1));
        Assert.NotEqual(Draw(1), Draw(2));
    }

    [Fact]
    public void The_context_keeps_the_choice_of_device()
    {
        var ml = new MLContext { GpuDeviceId = 1, FallbackToCpu = false };
        Assert.Equal(1, ml.GpuDeviceId);
        Assert.False(ml.FallbackToCpu);
        Assert.Null(new MLContext().GpuDeviceId);
    }
}
