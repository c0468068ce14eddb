// Everything that remat offers. The headers marked torch-free in src/README.md can be used without it.
#pragma once

#include <remat/budget.h>
#include <remat/bytes.h>
#include <remat/checkpoint.h>
#include <remat/error.h>
#include <remat/graph_group.h>
#include <remat/memory.h>
#include <remat/placement.h>
#include <remat/saved_tensor_hooks.h>
#include <remat/sequential.h>
#include <remat/version.h>
