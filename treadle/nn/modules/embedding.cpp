#include "treadle/nn/modules/embedding.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/embedding.h"
#include "treadle/nn/functional/linear.h"
#include "treadle/nn/modules/hooks.h"

namespace treadle::nn {

Embedding::Embedding(int num_embeddings, int dims)
    : weight(embedding_init(num_embeddings, dims).at("weight").leaf()) {}

array Embedding::operator()(const array& x) const {
  const Call call(*this);
  return call(embedding(x, weight));
}

array Embedding::as_linear(const array& x) const {
  ModuleScope scope(label());
  return linear(x, weight);
}

std::string Embedding::extra_repr() const {
  return fmt::format("{}, {}", weight.shape(0), weight.shape(1));
}

std::string Embedding::brief() const {
  return fmt::format("{}->{}", weight.shape(0), weight.shape(1));
}

AnyEmbedding::Holder& AnyEmbedding::holder() const {
  if (!held_) {
    invalid("AnyEmbedding",
            "no layer has been put here; assign one, such as nn::Embedding.");
  }
  return *held_;
}

void Visitor::on_embedding(std::string_view name, AnyEmbedding& place) {
  on_module(name, place.module());
}

}  // namespace treadle::nn
