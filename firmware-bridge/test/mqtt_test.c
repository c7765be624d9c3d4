/* SPDX-License-Identifier: MIT */

/*
 * Goal: the bound on a broker's packets holds wherever the network cuts them, and a link that runs out of memory at any
 * point ends with an event or a code. Method: the reader with every cut; a broker in a child process that plays one
 * script. Real brokers and hostile ones: test/firmware/mqtt.test.ts.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_faults.h"
#include "mqtt_pipe.h"
#include "script_limits.h"
#include "support.h"

/* CONNACK, SUBACK for the first packet id, a message for "t/down". */
static const uint8_t SCENE[] = {0x20, 2, 0, 0,   0x90, 3,   0,   1,   1,   0x30, 10,
                                0,    6, 't', '/', 'd', 'o', 'w', 'n', 'h', 'i'};

static void the_reader_takes_the_same_however_it_is_cut(void)
{
    for (size_t cut = 0; cut <= sizeof SCENE; cut++) {
        struct bridge_mqtt_reader reader = {0};

        CHECK(bridge_mqtt_reader_takes(&reader, SCENE, cut));
        CHECK(bridge_mqtt_reader_takes(&reader, SCENE + cut, sizeof SCENE - cut));
        CHECK_INT((int64_t) reader.packets, 3);
        CHECK_INT(reader.left_bytes, 0);
        CHECK(!reader.is_in_length);
    }
}

/* Whether a packet of `bytes` is taken, told byte by byte. */
static bool is_taken(uint8_t first, uint32_t bytes)
{
    struct bridge_mqtt_reader reader = {0};
    bool takes = bridge_mqtt_reader_takes(&reader, &first, 1);

    do {
        const uint8_t byte = (uint8_t) ((bytes & 0x7f) | (bytes > 0x7f ? 0x80 : 0));

        takes = takes && bridge_mqtt_reader_takes(&reader, &byte, 1);
        bytes >>= 7;
    } while (bytes > 0);
    return takes;
}

static void the_reader_refuses_what_is_too_large_or_of_qos_2(void)
{
    const uint8_t endless[] = {0x30, 0x80, 0x80, 0x80, 0x80};
    struct bridge_mqtt_reader reader = {0};

    CHECK(is_taken(0x30, 0));
    CHECK(is_taken(0x30, LIMIT_MQTT_PACKET_BYTES_MAX));
    CHECK(!is_taken(0x30, LIMIT_MQTT_PACKET_BYTES_MAX + 1));
    CHECK(!is_taken(0x30, 268435455));
    CHECK(is_taken(0x3b, 9));
    CHECK(!is_taken(0x34, 9));
    CHECK(!is_taken(0x36, 9));
    /* PUBREL has that bit as a rule. */
    CHECK(is_taken(0x62, 2));
    CHECK(!bridge_mqtt_reader_takes(&reader, endless, sizeof endless));
}

static void the_door_is_ours_alone_and_leaves_nothing(void)
{
    struct bridge_mqtt_door door = {-1, -1};
    struct mosquitto *client;
    char directory[] = "/tmp/godwit-mqtt-XXXXXX";
    DIR *listing;
    int entries = 0;
    int fd;

    CHECK(mkdtemp(directory) != NULL);
    CHECK(mosquitto_lib_init() == MOSQ_ERR_SUCCESS);
    client = mosquitto_new("device1", true, NULL);
    CHECK(client != NULL);
    CHECK_INT(bridge_mqtt_door_enter(&door, "/nonexistent", client), -1);
    CHECK_INT(bridge_mqtt_door_enter(&door, "/proc", client), -1);
    fd = bridge_mqtt_door_enter(&door, directory, client);
    CHECK(fd >= 0);
    listing = opendir(directory);
    CHECK(listing != NULL);
    while (readdir(listing) != NULL)
        entries++;
    (void) closedir(listing);
    CHECK_INT(entries, 2);
    CHECK(rmdir(directory) == 0);
    mosquitto_destroy(client);
    client = mosquitto_new("device1", true, NULL);
    CHECK(client != NULL);
    (void) close(fd);
    /* The directory is gone; the door is not. */
    fd = bridge_mqtt_door_enter(&door, directory, client);
    CHECK(fd >= 0);
    (void) close(fd);
    mosquitto_destroy(client);
    bridge_mqtt_door_close(&door);
    (void) mosquitto_lib_cleanup();
}

/* Whether what comes out of `fd` is the CONNECT of this client. */
static bool is_connect_of(int fd, const char *name)
{
    char packet[128] = "";
    const ssize_t bytes = read(fd, packet, sizeof packet - 1);

    return bytes > 14 && memmem(packet, (size_t) bytes, name, strlen(name)) != NULL;
}

static void without_a_descriptor_nobody_is_taken_for_another(void)
{
    struct bridge_mqtt_door door = {-1, -1};
    struct rlimit limit;
    int refused = 0;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(mosquitto_lib_init() == MOSQ_ERR_SUCCESS);
    for (rlim_t more = 0; more < 8; more++) {
        struct mosquitto *first = mosquitto_new("first", true, NULL);
        struct mosquitto *second = mosquitto_new("second", true, NULL);
        struct rlimit few = limit;
        int fd = bridge_mqtt_door_enter(&door, NULL, first);
        int next;

        /* The door is there, as in the midst of an agent's life. */
        CHECK(fd >= 0 && is_connect_of(fd, "first"));
        (void) close(fd);
        mosquitto_destroy(first);
        first = mosquitto_new("first", true, NULL);
        next = dup(STDIN_FILENO);
        CHECK(next >= 0 && close(next) == 0);
        few.rlim_cur = (rlim_t) next + more;
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        fd = bridge_mqtt_door_enter(&door, NULL, first);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        if (fd >= 0) {
            CHECK(is_connect_of(fd, "first"));
            (void) close(fd);
        } else {
            refused++;
        }
        fd = bridge_mqtt_door_enter(&door, NULL, second);
        CHECK(fd >= 0 && is_connect_of(fd, "second"));
        (void) close(fd);
        mosquitto_destroy(first);
        mosquitto_destroy(second);
        bridge_mqtt_door_close(&door);
    }
    CHECK(refused > 0 && refused < 8);
    (void) mosquitto_lib_cleanup();
}

/* A child that plays SCENE to everybody; returns its pid. */
static pid_t start_broker(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pid_t child;

    CHECK(listener >= 0);
    CHECK(bind(listener, (const struct sockaddr *) &address, sizeof address) == 0 && listen(listener, 16) == 0);
    CHECK(getsockname(listener, (struct sockaddr *) &address, &bytes) == 0);
    *port = ntohs(address.sin_port);
    child = fork();
    CHECK(child >= 0);
    while (child == 0) {
        int fd = accept(listener, NULL, NULL);
        char sink[512];

        if (fd < 0 || write(fd, SCENE, sizeof SCENE) < 0)
            _exit(1);
        while (read(fd, sink, sizeof sink) > 0)
            continue;
        (void) close(fd);
    }
    (void) close(listener);
    return child;
}

static void without_memory_a_link_ends_with_an_event_or_a_code(void)
{
    char source[512];
    bool was_hit = true;
    int port;
    pid_t broker = start_broker(&port);

    (void) snprintf(source, sizeof source,
                    "bridge.listen({ linkOpened() { bridge.send(7, new Uint8Array(300), 1); },"
                    " linkMessage() { say('end'); },"
                    " linkClosed(id, cause) { say('end ' + cause); },"
                    " go() { bridge.openMqtt(7, 'mqtt://127.0.0.1:%d', 'device1', 't', 'secret'); } });",
                    port);
    for (uint64_t nth = 1; was_hit; nth++) {
        const size_t blocks = bridge_memory_blocks();
        struct bridge *b;

        test_forget();
        CHECK_INT(test_create(&b, source, NULL), 0);
        bridge_memory_faults_set(nth, false);
        (void) bridge_emit(b, "go", 0, NULL);
        while (b->failed == 0 && strstr(test_said(), "end") == NULL)
            (void) bridge_loop_step(b, -1);
        was_hit = bridge_memory_faults_hit();
        bridge_memory_faults_set(0, false);
        CHECK(b->failed == 0 || b->failed == BRIDGE_E_NOMEM);
        if (!was_hit)
            CHECK_TEXT(test_said(), "end\n");
        CHECK(strstr(test_logged(), "secret") == NULL);
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) blocks);
    }
    CHECK(kill(broker, SIGKILL) == 0 && waitpid(broker, NULL, 0) == broker);
}

int main(void)
{
    RUN(the_reader_takes_the_same_however_it_is_cut);
    RUN(the_reader_refuses_what_is_too_large_or_of_qos_2);
    RUN(the_door_is_ours_alone_and_leaves_nothing);
    RUN(without_a_descriptor_nobody_is_taken_for_another);
    RUN(without_memory_a_link_ends_with_an_event_or_a_code);
    return 0;
}
