/* SPDX-License-Identifier: MIT */

/*
 * trust: the certificates a server's chain has to end in: those of a file or hashed directory the embedding program
 * names, or else the system's; and besides them those it gave as PEM. Files are looked at before each connection and
 * read anew when they changed, so a bundle can be replaced without a restart. The system's hashed directory is
 * preferred to its bundle: OpenSSL reads the one certificate it needs from it, where 140 parsed ones would take over a
 * megabyte.
 */

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "client.h"

/* What a file or directory was when it was read. All 0: not there. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified;
    struct timespec changed;
};

struct bridge_trust {
    const char *ca_file;
    const char *ca_pem;
    X509_STORE *nobody;
    X509_STORE *store;
    struct stamp stamp;
};

static struct stamp trust__stamp(const char *path, bool *is_directory)
{
    struct stamp stamp;
    struct stat facts;

    memset(&stamp, 0, sizeof(stamp));
    *is_directory = false;
    if (path && stat(path, &facts) == 0) {
        stamp.device = facts.st_dev;
        stamp.inode = facts.st_ino;
        stamp.bytes = facts.st_size;
        stamp.modified = facts.st_mtim;
        stamp.changed = facts.st_ctim;
        *is_directory = S_ISDIR(facts.st_mode);
    }
    return stamp;
}

static bool trust__is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* How many names the directory has such as `c_rehash` makes, 8 hex digits, a dot, a number, up to `count_max`. */
static int trust__count_hashed(const char *path, int count_max)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!directory)
        return 0;
    while (count < count_max && (entry = readdir(directory)) != NULL)
        count += strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.' &&
                 isdigit((unsigned char) entry->d_name[9]);
    closedir(directory);
    return count;
}

/* A variable of the environment; NULL when it is empty. */
static const char *trust__variable(const char *name)
{
    const char *value = secure_getenv(name);

    return value && *value ? value : NULL;
}

/* Where the certificates are: what the program names, or OpenSSL's variables, or its built-in places. Borrowed. */
static const char *trust__path(const char *ca_file)
{
    const char *file = ca_file ? ca_file : trust__variable(X509_get_default_cert_file_env());
    const char *path = file ? file : trust__variable(X509_get_default_cert_dir_env());

    if (path)
        return path;
    path = X509_get_default_cert_dir();
    return trust__count_hashed(path, 1) > 0 ? path : X509_get_default_cert_file();
}

/* Without one OpenSSL asks for a passphrase on the terminal, or on stdin, and waits. */
static int trust__no_passphrase(char *passphrase, int bytes_max, int is_writing, void *unused)
{
    (void) passphrase;
    (void) bytes_max;
    (void) is_writing;
    (void) unused;
    return -1;
}

/* The next certificate of a PEM text, the caller's; NULL where there is none that can be read. */
static X509 *trust__read(BIO *bio)
{
    return PEM_read_bio_X509_AUX(bio, NULL, trust__no_passphrase, NULL);
}

/*
 * Adds the certificates of a PEM text; false when it holds none, or too many, or memory is short. Frees `bio`, may be
 * NULL.
 */
static bool trust__add(X509_STORE *store, BIO *bio)
{
    X509 *certificate;
    int count = 0;
    bool is_good = bio != NULL;

    while (is_good && (certificate = trust__read(bio)) != NULL) {
        is_good = ++count <= BRIDGE_CA_CERTIFICATES_MAX && X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    /* The end of the text counts as an error too. */
    ERR_clear_error();
    return is_good && count > 0;
}

static bool trust__add_directory(X509_STORE *store, const char *path)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());

    return lookup && X509_LOOKUP_add_dir(lookup, path, X509_FILETYPE_PEM);
}

struct bridge_trust *bridge_trust_new(const char *ca_file, const char *ca_pem)
{
    struct bridge_trust *trust = bridge_calloc(1, sizeof(*trust));

    if (!trust)
        return NULL;
    trust->ca_file = ca_file;
    trust->ca_pem = ca_pem;
    trust->nobody = X509_STORE_new();
    if (trust->nobody)
        return trust;
    bridge_free(trust);
    return NULL;
}

void bridge_trust_free(struct bridge_trust *trust)
{
    if (!trust)
        return;
    X509_STORE_free(trust->store);
    X509_STORE_free(trust->nobody);
    bridge_free(trust);
}

int bridge_trust_count(const char *ca_file, const char **path)
{
    bool is_directory;
    X509 *certificate;
    BIO *bio;
    int count = 0;

    *path = trust__path(ca_file);
    (void) trust__stamp(*path, &is_directory);
    if (is_directory)
        return trust__count_hashed(*path, BRIDGE_CA_CERTIFICATES_MAX);
    bio = BIO_new_file(*path, "r");
    while (bio && count < BRIDGE_CA_CERTIFICATES_MAX &&
           (certificate = trust__read(bio)) != NULL) {
        X509_free(certificate);
        count++;
    }
    BIO_free(bio);
    /* The end of the text counts as an error too. */
    ERR_clear_error();
    return count;
}

bool bridge_trust_is_certificate(const char *pem, size_t bytes)
{
    BIO *bio = bytes <= INT_MAX ? BIO_new_mem_buf(pem, (int) bytes) : NULL;
    X509 *certificate = bio ? trust__read(bio) : NULL;
    bool is = certificate != NULL;

    X509_free(certificate);
    BIO_free(bio);
    ERR_clear_error();
    return is;
}

void *bridge_trust_nobody(struct bridge_trust *trust)
{
    return trust->nobody;
}

void *bridge_trust_store(struct bridge_trust *trust, bool *has_changed)
{
    const char *path = trust__path(trust->ca_file);
    bool is_directory, is_good;
    struct stamp stamp = trust__stamp(path, &is_directory);
    X509_STORE *store;

    *has_changed = false;
    if (trust->store && trust__is_same(&stamp, &trust->stamp))
        return trust->store;

    store = X509_STORE_new();
    if (store) {
        /* One of the two is enough: a device may know its own service's CA and no other. */
        is_good = is_directory ? trust__add_directory(store, path) : trust__add(store, BIO_new_file(path, "r"));
        if (trust->ca_pem)
            is_good = trust__add(store, BIO_new_mem_buf(trust->ca_pem, -1)) && (is_good || !trust->ca_file);
        if (!is_good) {
            X509_STORE_free(store);
            store = NULL;
        }
    }
    ERR_clear_error();
    /* Gone, or half written: what was read before counts until the next connection. */
    if (!store)
        return trust->store ? trust->store : trust->nobody;
    X509_STORE_free(trust->store);
    trust->store = store;
    trust->stamp = stamp;
    *has_changed = true;
    return store;
}
