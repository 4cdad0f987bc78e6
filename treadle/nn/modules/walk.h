// Walks over a module's members, for Module's own methods.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

enum class Select : uint8_t { all, trainable };

// The selected arrays as a tree, and where each of its leaves is, in order.
struct Collected {
  Tree tree;
  std::vector<array*> slots;
};
Collected collect(Module& m, Select select);
// The slots alone, without the cost of names and a tree.
std::vector<array*> collect_slots(Module& m, Select select);

// Modules directly inside, also those inside containers ("layers.0").
std::vector<std::pair<std::string, Module*>> children_of(Module& m);

// Keys of the arrays that are not inside a submodule: "weight", "scales.0".
std::vector<std::string> own_array_keys(Module& m);

// Names of all members that are there: arrays, modules, containers.
std::vector<std::string> member_names(Module& m);

// To be called before the members of a model are copied: lets the places of
// modules that it shares hold new ones in the copy.
void prepare_copies_of_shared(const Module& model);

// What is at a path such as "block.layers.1": at most one is not null.
struct FoundPlace {
  Unary* unary = nullptr;
  AnyEmbedding* embedding = nullptr;
  Module* module = nullptr;  // a member of a type of its own
};
FoundPlace find_place(Module& m, std::string_view path);

}  // namespace treadle::nn
