using System.Reflection;

namespace Standins.Surface.Tests;

// A stand-in shows nothing that the real packages do not show.
public class SurfaceTests
{
    [Theory]
    [InlineData("Microsoft.ML", "Microsoft.ML-5.0.0")]
    [InlineData("Microsoft.ML.Tokenizers", "Microsoft.ML.Tokenizers-2.0.0")]
    [InlineData("TorchSharp", "TorchSharp-0.102.6", "TorchSharp-0.107.0")]
    public void Stand_ins_hold_nothing_that_the_packages_lack(string assembly, params string[] lists)
    {
        var types = Assembly.Load(assembly).GetTypes();
        var offenders = SurfaceCheck.Offenders(types, Array.ConvertAll(lists, ApiList.Load));
        Assert.True(offenders.Count == 0, $"{assembly} shows {offenders.Count} things that {string.Join(" and ", lists)} do not:\n{string.Join('\n', offenders)}");
    }

    [Theory]
    [InlineData("Microsoft.ML-5.0.0")]
    [InlineData("Microsoft.ML.Tokenizers-2.0.0")]
    [InlineData("TorchSharp-0.102.6")]
    [InlineData("TorchSharp-0.107.0")]
    public void Lists_are_there(string list) => Assert.True(ApiList.Load(list).Count > 300);
}
