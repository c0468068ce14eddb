#include "tape/recorder.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::tape {
namespace {

/// Writes the operators of a thread into a record, and into the same one again after next_step().
class Recording final : public torch_bridge::OpInterceptor, public RecorderEvents {
 public:
  void intercept(torch_bridge::OpCall& call) override {
    const torch_bridge::InterceptorPause pause;
    const auto before = [&](OpIndex op, std::uint64_t) {
      results_when_it_begins.push_back(record.ops[op].outputs.size());
    };
    recorder_->record(
        call, torch_bridge::traits_of(call.op()), before, [&] { call.proceed(); }, [](OpIndex) {});
  }
  void next_step() {
    record.clear();
    results_when_it_begins.clear();
    recorder_ = std::make_unique<Recorder>(record, *this, home_);
  }
  std::int64_t verified() const { return recorder_->verified(); }

  StepRecord record;
  std::vector<std::int32_t> results_when_it_begins;

 private:
  void value_made(ValueIndex, const c10::Storage&) override {}
  void value_overwritten(ValueIndex, ValueIndex) override {}
  bool is_needed(ValueIndex) override { return false; }
  void leaf_met(const at::Tensor&) override {}
  void overwritten_unrecorded(const at::Tensor&) override {}
  c10::Storage copy_to_keep(const c10::Storage& storage) override { return storage; }
  bool is_unchanged(ValueIndex, const c10::Storage&) override { return true; }
  void changed_unseen(ValueIndex) override {}
  void leaves_lost(const std::vector<ValueIndex>&) override {}

  const torch_bridge::HomeStream home_{c10::kCPU};
  std::unique_ptr<Recorder> recorder_ = std::make_unique<Recorder>(record, *this, home_);
};

class RecorderOfARepeatedStep : public ::testing::Test {
 protected:
  ~RecorderOfARepeatedStep() override { at::set_num_threads(threads_); }

  void step() {
    const torch_bridge::InterceptorScope scope(torch_bridge::OpLevel::kBelowAutograd, recording_);
    x_.sin().cos();
  }

  Recording recording_;
  const at::Tensor x_ = torch::ones({8});
  const int threads_ = at::get_num_threads();
};

// Breaks if: an operator that runs is said to have made what it made in the step before.
TEST_F(RecorderOfARepeatedStep, ItsOperatorsHaveNoResultsBeforeTheyHaveRun) {
  step();
  recording_.next_step();
  step();
  EXPECT_EQ(recording_.verified(), 2);
  EXPECT_EQ(recording_.results_when_it_begins, (std::vector<std::int32_t>{0, 0}));
  EXPECT_EQ(recording_.record.ops[OpIndex(1)].outputs.size(), 1);
}

// Breaks if: operators run again with the number of threads that the step before had.
TEST_F(RecorderOfARepeatedStep, ItsOperatorsHaveTheirOwnNumberOfThreads) {
  at::set_num_threads(2);
  step();
  recording_.next_step();
  at::set_num_threads(1);
  step();
  EXPECT_EQ(recording_.verified(), 0);
  for (const Op& op : recording_.record.ops) EXPECT_EQ(op.state.threads, 1);
}

}  // namespace
}  // namespace remat::tape
