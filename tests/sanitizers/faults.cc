// Commits the fault that it is asked for: what the sanitizers must see in a program that uses remat.
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <torch/torch.h>

#include <remat/checkpoint.h>

namespace {

// Keeps the compiler from seeing through a fault.
template <class T>
T hidden(T value) {
  volatile T copy = value;
  return copy;
}

/// A tensor that came out of a region, and is never released.
void leak() {
  const at::Tensor x = torch::ones({64}, at::requires_grad());
  const at::Tensor y = remat::checkpoint([](const at::Tensor& t) { return t.sin().exp(); }, x);
  auto* lost = hidden(new at::Tensor(y));
  (void)lost;
}

void overrun() {
  std::vector<int> numbers(4);
  numbers.data()[hidden(4)] = 1;
}

void shift() { std::cout << (1 << hidden(40)) << '\n'; }

void race() {
  int count = 0;
  std::thread other([&] { ++count; });
  ++count;
  other.join();
  std::cout << count << '\n';
}

/// Overwrites what the fault left on the stack: a pointer there would count as a use.
void clear_stack() {
  volatile char space[1 << 14];
  for (volatile char& byte : space) byte = 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)()> faults = {
      {"leak", leak}, {"overrun", overrun}, {"shift", shift}, {"race", race}};
  const auto fault = faults.find(argc == 2 ? argv[1] : "");
  if (fault == faults.end()) return EXIT_FAILURE;
  fault->second();
  clear_stack();
  return EXIT_SUCCESS;
}
