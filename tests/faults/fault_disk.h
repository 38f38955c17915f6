/* A disk that may lose its power: what a journal of calls (io_faults.h) has left on it.
 *
 * The model is POSIX, taken at its word. What a file holds is safe once the file was synced; that a
 * name stands for it, once its folder was. Of everything since then any part may have reached the
 * disk, in any order: a name without the data, the data without a name, some sectors of a write.
 * Only a rename is one thing, and a name must have been made before it can be moved. */
#ifndef HONE_TESTS_FAULT_DISK_H
#define HONE_TESTS_FAULT_DISK_H

#include "../support/io_faults.h"
#include "fault_tree.h"

typedef struct journal_entry {
    io_record record;
    char *path, *other, *data; /* paths are absolute; other may be empty */
} journal_entry;

typedef struct call_journal {
    journal_entry *entries;
    size_t count;
} call_journal;

void journal_load(call_journal *j, const char *path);
void journal_free(call_journal *j);

typedef enum disk_loss {
    LOSS_NONE,     /* all is there: what a process that dies leaves */
    LOSS_ALL,      /* nothing that was not synced */
    LOSS_DATA,     /* names alone: files are empty, or as they were synced */
    LOSS_SECTORS,  /* names and sizes, and zeros in the place of data */
    LOSS_NAMES,    /* data alone */
    LOSS_SOME,     /* of names, sectors and sizes what the seed says */
    LOSS_VARIANTS, /* and more seeds from here on */
} disk_loss;

typedef struct disk disk;

/* A disk on which all of this is safe. `root` is the folder that the paths of the journal begin
 * with. */
disk *disk_create(const tree *start, const char *root);
void disk_free(disk *d);
/* False: the call doesn't fit what is there; the model does not know something. */
bool disk_apply(disk *d, const journal_entry *entry, char *why, size_t size);
void disk_image(const disk *d, disk_loss loss, uint64_t seed, tree *image);

#endif
