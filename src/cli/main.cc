#include "cli/program.h"

int main(int argc, char** argv) { return remat::cli::run_program(argc, argv); }
