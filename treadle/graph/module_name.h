// Which module a node with a large result belongs to, for messages, where no
// ModuleScope says so: Python finds its modules by the functions that run.
#pragma once

#include <memory>
#include <string>

namespace treadle {

// "layers.1 (Linear 64->64)", or null outside of all modules. Asked when a node
// with a result of kNamedResultBytes or more is recorded, which takes longer
// to compute than the answer; must not throw.
using ModuleNamer = std::shared_ptr<const std::string> (*)();
inline constexpr size_t kNamedResultBytes = size_t(4) << 20;

void set_module_namer(ModuleNamer namer);

}  // namespace treadle
