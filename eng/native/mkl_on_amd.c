/* MKL asks these two whether the processor is Intel's and takes slow code where it is not. Loaded before libtorch with its symbols global,
   this library answers in MKL's place. MKL still looks at the processor's own flags to choose between AVX2 and AVX-512. */
int mkl_serv_intel_cpu_true(void) { return 1; }
int mkl_serv_intel_cpu(void) { return 1; }
