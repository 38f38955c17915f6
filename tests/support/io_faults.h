/* What io_faults.so and the tests that drive it agree on: how calls are counted, the page of state
 * that they share, the records of the journal. */
#ifndef HONE_TESTS_IO_FAULTS_H
#define HONE_TESTS_IO_FAULTS_H

#include <stdint.h>

/* Kinds of calls. LOOK opens for reading, CREATE for writing; CLOSE is of what CREATE opened. */
#define IO_KIND_LIST(X)                                                                            \
    X(LOOK, "open for reading")                                                                    \
    X(CREATE, "open for writing")                                                                  \
    X(WRITE, "write")                                                                              \
    X(SYNC, "fsync")                                                                               \
    X(CUT, "ftruncate")                                                                            \
    X(CLOSE, "close")                                                                              \
    X(RENAME, "rename")                                                                            \
    X(EXCHANGE, "exchange")                                                                        \
    X(UNLINK, "unlink")                                                                            \
    X(RMDIR, "rmdir")                                                                              \
    X(MKDIR, "mkdir")

typedef enum io_kind {
#define IO_KIND_ENUM(name, text) IO_##name,
    IO_KIND_LIST(IO_KIND_ENUM)
#undef IO_KIND_ENUM
        IO_KINDS
} io_kind;

enum { IO_PATH = 1024 };

/* Shared by the driver, the program and its children. */
typedef struct io_state {
    _Atomic uint64_t calls;  /* counted so far */
    _Atomic uint64_t faults; /* made so far */
    uint32_t kind;           /* of the call of the first fault */
    char path[IO_PATH];
} io_state;

/* One call; path, other and the data follow it. */
typedef struct io_record {
    uint64_t number; /* of the call, from 1 */
    uint64_t said;   /* bytes on standard error before it, when that is a file */
    int64_t offset;  /* WRITE: place; CUT: new size */
    uint64_t size;   /* of the data, which a WRITE alone has */
    uint32_t kind;
    int32_t failure; /* errno, 0: done */
    int32_t process, descriptor;
    uint32_t path, other; /* their lengths */
    uint32_t fresh;       /* CREATE: there was no such file; else 1 for O_TRUNC is in `cuts` */
    uint32_t cuts;
} io_record;

#endif
