/* What the tests of whole folders share, over the scratch folder and settings of training's. */
#ifndef HONE_TESTS_ENGINE_SUPPORT_H
#define HONE_TESTS_ENGINE_SUPPORT_H

#include "../train/train_support.h"

#include <stdbool.h>

/* "tests/golden/<name>"; tests run in the source folder. */
#define GOLDEN(name) "tests/golden/" name

/* Copies the files of a folder (not its subfolders) into another, which is made. */
void copy_folder(const char *from, const char *to);
/* Hash of all files of a folder and of its subfolders, with their names; 0 where it is not. */
uint64_t hash_folder(const char *folder);
/* Each file of `part` stands in `whole` with the same bytes, and none is a temporary one. */
void assert_part_of(const char *part, const char *whole);

#endif
