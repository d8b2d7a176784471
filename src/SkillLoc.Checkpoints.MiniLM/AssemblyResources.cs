using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace SkillLoc;

/// <summary>Reads resources out of an assembly's file, which is neither loaded nor run.</summary>
internal static class AssemblyResources
{
    /// <summary>Returns the bytes of an embedded resource.</summary>
    /// <param name="path">The assembly's file.</param>
    /// <param name="name">The resource's name.</param>
    /// <returns>Its bytes, and the assembly's version.</returns>
    /// <exception cref="InvalidDataException">The file is no assembly, is cut off, or has no such resource.</exception>
    public static (byte[] Bytes, Version Version) Read(string path, string name)
    {
        try
        {
            using var file = new PEReader(File.OpenRead(path));
            MetadataReader metadata = file.GetMetadataReader();
            Version version = metadata.GetAssemblyDefinition().Version;
            foreach (ManifestResource resource in metadata.ManifestResources.Select(metadata.GetManifestResource))
            {
                if (!resource.Implementation.IsNil || !metadata.StringComparer.Equals(resource.Name, name))
                {
                    continue;
                }

                DirectoryEntry resources = file.PEHeaders.CorHeader!.ResourcesDirectory;
                BlobReader reader = file.GetSectionData(resources.RelativeVirtualAddress).GetReader();
                reader.Offset = checked((int)resource.Offset);
                return (reader.ReadBytes(reader.ReadInt32()), version);
            }

            throw new InvalidDataException($"'{path}' (version {version}) has no resource '{name}'.");
        }
        catch (Exception e) when (e is BadImageFormatException or InvalidOperationException or ArgumentException or OverflowException)
        {
            throw new InvalidDataException($"'{path}' is not a whole assembly ({e.Message.TrimEnd('.')}); restore its package anew.", e);
        }
    }
}
