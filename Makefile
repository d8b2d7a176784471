# SkillLoc.MLNet: each target does its own set-up and can be run again at no cost.
SHELL := bash
ARGS ?=

.PHONY: demo test build format bench pack consumer docs serve serve-load page-test neuron-features pretrain grafting-study neuron-study connectivity-study merging-study published-models clean

demo: ## fine-tune, graft and measure on real e-mail
	@eng/demo.sh $(ARGS)

test: ## build with warnings as errors and run every test
	@eng/test.sh $(ARGS)

build:
	@. eng/setup.sh && dotnet build SkillLoc.MLNet.sln -c Release

format: ## style rules of .editorconfig, then CSharpier's line breaks
	@. eng/setup.sh && dotnet tool restore >/dev/null && dotnet format style SkillLoc.MLNet.sln --severity warn && dotnet csharpier format .

bench: ## against plain TorchSharp, PyTorch and ONNX Runtime on the same machine (as root)
	@eng/bench.sh $(ARGS)

pack: ## the NuGet packages, into artifacts/packages
	@eng/pack.sh $(ARGS)

consumer: ## a program outside of the solution that has the packages and the README's snippet
	@eng/consumer.sh

docs: ## the pages and an API reference as a site, into artifacts/docs
	@. eng/setup.sh && dotnet tool restore >/dev/null && rm -rf artifacts/api artifacts/docs && dotnet docfx --logLevel warning

serve: ## classifiers over HTTP; trains one on its first start, or --skills FOLDER
	@eng/serve.sh $(ARGS)

serve-load: ## what a service that runs can do
	@. eng/setup.sh && dotnet build examples/ServeLoad -c Release -v quiet -clp:NoSummary && dotnet examples/ServeLoad/bin/Release/net10.0/ServeLoad.dll $(ARGS)

page-test: ## the service's page in Chromium, which it installs
	@eng/install.sh chromium:chromium && . eng/setup.sh && dotnet build tests/SkillLoc.Serve.Tests -c Release -v quiet -clp:NoSummary && dotnet tests/SkillLoc.Serve.Tests/bin/Release/net10.0/SkillLoc.Serve.Tests.dll -class '*PageTests'

neuron-features: ## probed neurons as features of FastTree and LightGBM, on the demo's e-mail
	@eng/neuron-features.sh $(ARGS)

pretrain: ## train a masked language model from text files
	@eng/pretrain.sh $(ARGS)

grafting-study: ## the grafting paper's protocol on ../shared/data, or by a plan of yours
	@eng/study.sh GraftingStudy $(ARGS)

neuron-study: ## the skill-neuron paper's
	@eng/study.sh SkillNeuronStudy $(ARGS)

connectivity-study: ## mode connectivity: paths between checkpoints
	@eng/study.sh ConnectivityStudy $(ARGS)

merging-study: ## merging: every method on models of several tasks, beside multi-task training and stitched grafts
	@eng/study.sh MergingStudy $(ARGS)

published-models: ## how far two published models of one origin are apart, and what lies between them
	@. eng/setup.sh && dotnet build examples/PublishedModels -c Release -v quiet -clp:NoSummary && dotnet examples/PublishedModels/bin/Release/net10.0/PublishedModels.dll $(ARGS)

clean:
	@rm -rf artifacts && find . -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} +
