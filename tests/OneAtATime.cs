// libtorch uses all cores by itself, and tests that watch the number of live tensors must be alone.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
