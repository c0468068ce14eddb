#include <remat/memory.h>

#include "cli/program.h"

int main(int argc, char** argv) {
  remat::use_huge_page_allocator();
  return remat::cli::run_program(argc, argv, "/proc/self/exe");
}
