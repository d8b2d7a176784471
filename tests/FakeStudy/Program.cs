using System.CommandLine;
using SkillLoc.FakeStudy;
using SkillLoc.Studies;

StudyKind[] kinds = [new("fake", request => new CountingStudy(StudyJson.ReadPlan<CountingPlan>(request.Plan)))];
return new RootCommand { StudyCommand.Create(kinds) }
    .Parse(args)
    .Invoke();
