using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

public sealed class PathIdentityTests
{
    [Fact]
    public void APlaceIsTheSameHoweverItIsWritten()
    {
        using var folder = new TemporaryFolder();
        string place = folder.PathOf("place"),
            link = folder.PathOf("link"),
            chain = folder.PathOf("chain"),
            around = folder.PathOf("around");
        Directory.CreateDirectory(place);
        Directory.CreateSymbolicLink(link, place);
        Directory.CreateSymbolicLink(chain, "link");
        Directory.CreateSymbolicLink(around, folder.Path);
        string relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), place);
        foreach (
            string other in new[]
            {
                place,
                place + Path.DirectorySeparatorChar,
                relative,
                Path.Join(place, "."),
                Path.Join(place, "..", "place"),
                link,
                chain,
                Path.Join(around, "place"),
                Path.Join(around, "chain") + Path.DirectorySeparatorChar,
            }
        )
        {
            Assert.True(PathIdentity.Same(place, other), other);
            Assert.True(PathIdentity.Same(other, place), other);
            Assert.True(PathIdentity.Same(Path.Join(other, "new", "file"), Path.Join(place, "new", "file")), other);
            Assert.True(PathIdentity.IsWithin(place, Path.Join(other, "new")), other);
            Assert.True(PathIdentity.IsWithin(other, place), other);
        }

        Assert.False(PathIdentity.Same(place, folder.PathOf("places")));
        Assert.False(PathIdentity.IsWithin(place, folder.PathOf("places")));
        Assert.False(PathIdentity.IsWithin(place, folder.Path));
    }

    [Fact]
    public void LinksToNothingAndInCirclesEnd()
    {
        using var folder = new TemporaryFolder();
        File.CreateSymbolicLink(folder.PathOf("nothing"), folder.PathOf("gone"));
        Assert.True(PathIdentity.Same(folder.PathOf("nothing"), folder.PathOf("gone")));
        File.CreateSymbolicLink(folder.PathOf("one"), folder.PathOf("two"));
        File.CreateSymbolicLink(folder.PathOf("two"), folder.PathOf("one"));
        Assert.False(PathIdentity.Same(folder.PathOf("one"), folder.PathOf("gone")));
    }
}
