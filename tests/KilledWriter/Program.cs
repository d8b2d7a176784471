using System.Globalization;
using SkillLoc;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hub;

// `encoder CACHE ASSEMBLY` asks for a checkpoint of the package and says where it is.
if (args[0] == "encoder")
{
    Console.WriteLine(new MiniLMPackage(args[2]).Folder(MiniLMKind.Encoder, args[1]));
    return;
}

// `hub NAME CACHE ENDPOINT` downloads a checkpoint and says where it is.
if (args[0] == "hub")
{
    var options = new HubOptions
    {
        AllowDownload = true,
        CacheFolder = args[2],
        Endpoint = args[3],
        Timeout = TimeSpan.FromMinutes(2),
    };
    Console.WriteLine(CheckpointHub.Resolve(args[1], options));
    return;
}

// Writes until it is killed: `file PATH`, `folder PATH` or `inside PATH`, the last of which replaces files one by one. What belongs
// together says the same number.
string path = args[1];
for (int i = 0; ; i++)
{
    string content = string.Create(CultureInfo.InvariantCulture, $"{i}\n");
    if (args[0] == "file")
    {
        AtomicFile.Write(path, stream => Fill(stream, content));
    }
    else
    {
        AtomicFolder.Write(
            path,
            Files,
            name => name.StartsWith("shard-", StringComparison.Ordinal),
            "config.json",
            isInside: args[0] == "inside"
        );
    }

    if (i == 0)
    {
        Console.WriteLine("ready");
    }

    void Files(string folder)
    {
        // Every other time another set of files, so that some go stale.
        foreach (string name in new[] { "config.json", "vocab.txt", $"shard-{i % 2}", $"shard-{2 + (i % 2)}" })
        {
            using FileStream stream = File.Create(Path.Join(folder, name));
            Fill(stream, content);
        }
    }
}

static void Fill(Stream stream, string content)
{
    using var writer = new StreamWriter(stream, leaveOpen: true);
    for (int line = 0; line < 2000; line++)
    {
        writer.Write(content);
    }
}
