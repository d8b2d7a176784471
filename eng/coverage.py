"""coverage.py FOLDER...: joins cobertura files and prints lines and branches of the readers of files."""
import collections
import glob
import re
import sys
import xml.etree.ElementTree as xml

READERS = """
SkillLoc.Text/Json/JsonText SkillLoc.Text/Checkpoints/SafetensorsHeader SkillLoc.Text/Checkpoints/FileMemory
SkillLoc.Text/Checkpoints/OnnxGraph SkillLoc.Text/Checkpoints/FolderJournal SkillLoc.Text/Tokenization/SerializedFile
SkillLoc.Text/Tokenization/LongValues SkillLoc.Text/Tokenization/TokenizerFiles SkillLoc.Text/Tokenization/TokenizerChoice
SkillLoc.Text/Tokenization/SerializedSteps SkillLoc.Text/Tokenization/SequenceFormat SkillLoc.Text/Tokenization/SentencePieceModel
SkillLoc.Text/Tokenization/UnigramTokenizer SkillLoc.Text/Datasets/StrictText SkillLoc.Text/Datasets/JsonLines
SkillLoc.Text/Datasets/SeparatedRows SkillLoc.Text/Datasets/CompressedFile SkillLoc.Text/Datasets/DecompressedStreams
SkillLoc.Text/Datasets/TaskFileReader SkillLoc.Text/Prompts/PromptTask SkillLoc.Models/Checkpoints/SafetensorsFile
SkillLoc.Models/Checkpoints/PickleReader SkillLoc.Models/Checkpoints/StoredZip SkillLoc.Models/Checkpoints/TorchCheckpointFile
SkillLoc.Models/Checkpoints/ITensorStore SkillLoc.Models/Checkpoints/ModelConfig SkillLoc.Models/Checkpoints/ConfigJson
SkillLoc.Models/Checkpoints/MetadataFields SkillLoc.Models/Checkpoints/OnnxCheckpoint SkillLoc.Models/Peft/PeftConfig
SkillLoc.Models/Merging/MergeRecipeFile SkillLoc.Models/Merging/MergeRecipeReader SkillLoc.Models/Cartography/TrainingDynamics
SkillLoc.Models/Runs/RunRecord SkillLoc.Data.Parquet/CompactThrift SkillLoc.Data.Parquet/Pages SkillLoc.Data.Parquet/Page SkillLoc.Data.Parquet/ParquetStructs
SkillLoc.Data.Parquet/ParquetFile SkillLoc.Data.Parquet/ClassLabels SkillLoc.Data.Parquet/LabelColumn SkillLoc.Onnx/GraftFile
SkillLoc.Onnx/OnnxBaseFile SkillLoc.Onnx/MappedOnnxFile SkillLoc.Models/Embeddings/SentencePrompts SkillLoc.Studies/StudyJson
""".split()

lines = collections.defaultdict(lambda: collections.defaultdict(int))
branches = collections.defaultdict(lambda: collections.defaultdict(lambda: (0, 0)))
for folder in sys.argv[1:]:
    for path in glob.glob(f"{folder}/**/*cobertura*.xml", recursive=True):
        for entry in xml.parse(path).getroot().iter("class"):
            name = re.sub(r".*?(SkillLoc\.[^/]+/.*)\.cs$", r"\1", entry.get("filename").split("src/")[-1])
            if name not in READERS:
                continue
            for line in entry.iter("line"):
                number = int(line.get("number"))
                lines[name][number] += int(line.get("hits"))
                found = re.search(r"\((\d+)/(\d+)\)", line.get("condition-coverage") or "")
                if found:
                    taken, all_ = map(int, found.groups())
                    before = branches[name][number]
                    # Of one line the runs may take different branches; the greater number is a lower bound of both.
                    branches[name][number] = (max(before[0], taken), max(before[1], all_))

total = [0, 0]
print("file\tlines %\tbranches\t%\tmissing at")
for name in READERS:
    if name not in lines:
        print(f"{name}\tnot found")
        continue
    taken = sum(each[0] for each in branches[name].values())
    count = sum(each[1] for each in branches[name].values())
    total = [total[0] + taken, total[1] + count]
    hit = 100 * sum(1 for hits in lines[name].values() if hits) / len(lines[name])
    missing = [str(number) for number, (one, other) in sorted(branches[name].items()) if one < other]
    print(f"{name}\t{hit:.1f}\t{taken}/{count}\t{100 * taken / max(count, 1):.1f}\t{' '.join(missing)}")
print(f"all\t\t{total[0]}/{total[1]}\t{100 * total[0] / max(total[1], 1):.1f}")
