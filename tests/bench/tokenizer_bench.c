/* Speed of the tokenizer: MB/s on 1 and on 2 threads (also per second of processor time,
 * which other programs on the machine disturb less), and the time to open the folder.
 * The corpus is a file of texts, each a 32-bit length and as many bytes, as
 * tests/parity/tokenizer_parity.py writes it. Best of the given number of rounds.
 * usage: tokenizer_bench FOLDER CORPUS [ROUNDS] */
#include <hone/tokenizer.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART ((size_t)1 << 20) /* bytes of texts that a thread takes at once */

typedef struct corpus {
    char *data;
    size_t size, bytes; /* of the file; of the texts */
} corpus;

typedef struct job {
    const hone_tokenizer *tokenizer;
    const corpus *texts;
    int part, parts; /* this thread takes every parts-th stretch */
    size_t tokens;
} job;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *encode_part(void *argument)
{
    job *work = argument;
    int32_t *ids = NULL;
    size_t capacity = 0, count, begin = 0;
    uint32_t length;
    for (size_t at = 0, stretch = 0; at < work->texts->size; at += sizeof length + length) {
        memcpy(&length, work->texts->data + at, sizeof length);
        if (at - begin > PART) {
            begin = at;
            stretch++;
        }
        if ((int)(stretch % (size_t)work->parts) != work->part)
            continue;
        if (hone_tokenizer_encode(work->tokenizer, work->texts->data + at + sizeof length, length,
                                  &ids, &capacity, &count, NULL) != HONE_OK)
            exit(5);
        work->tokens += count;
    }
    hone_tokenizer_free(ids);
    return NULL;
}

static void measure(const hone_tokenizer *tokenizer, const corpus *texts, int threads, int rounds)
{
    double best = 1e30, least = 1e30;
    size_t tokens = 0;
    for (int round = 0; round < rounds; round++) {
        job jobs[2];
        pthread_t ids[2];
        double start = seconds(CLOCK_MONOTONIC), before = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < threads; i++) {
            jobs[i] = (job){tokenizer, texts, i, threads, 0};
            if (pthread_create(&ids[i], NULL, encode_part, &jobs[i]) != 0)
                exit(5);
        }
        tokens = 0;
        for (int i = 0; i < threads; i++) {
            pthread_join(ids[i], NULL);
            tokens += jobs[i].tokens;
        }
        double spent = seconds(CLOCK_MONOTONIC) - start;
        double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
        best = spent < best ? spent : best;
        least = used < least ? used : least;
    }
    printf("threads %d MB/s %.1f MB/cpu-second %.1f tokens %zu bytes %zu\n", threads,
           (double)texts->bytes / best / 1e6, (double)texts->bytes / least / 1e6, tokens,
           texts->bytes);
}

static void read_corpus(const char *path, corpus *texts)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(4);
    texts->size = (size_t)ftell(file);
    rewind(file);
    texts->data = malloc(texts->size + 1);
    if (texts->data == NULL || fread(texts->data, 1, texts->size, file) != texts->size)
        exit(4);
    fclose(file);
    uint32_t length;
    texts->bytes = 0;
    for (size_t at = 0; at < texts->size; at += sizeof length + length) {
        memcpy(&length, texts->data + at, sizeof length);
        texts->bytes += length;
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tokenizer_bench FOLDER CORPUS [ROUNDS]\n");
        return 2;
    }
    int rounds = argc > 3 ? atoi(argv[3]) : 3;
    hone_tokenizer *tokenizer = NULL;
    hone_error error;
    double best = 1e30;
    for (int i = 0; i < 5; i++) {
        hone_tokenizer_close(tokenizer);
        double start = seconds(CLOCK_MONOTONIC);
        if (hone_tokenizer_open(argv[1], &tokenizer, &error) != HONE_OK) {
            fprintf(stderr, "tokenizer_bench: %s: %s\n", error.file, error.message);
            return hone_status_exit_code(error.status);
        }
        double spent = seconds(CLOCK_MONOTONIC) - start;
        best = spent < best ? spent : best;
    }
    printf("open ms %.1f\n", best * 1e3);
    corpus texts;
    read_corpus(argv[2], &texts);
    for (int threads = 1; threads <= 2; threads++)
        measure(tokenizer, &texts, threads, rounds);
    free(texts.data);
    hone_tokenizer_close(tokenizer);
    return 0;
}
