#!/usr/bin/env python3
"""The figures of real_data.rs, counted without any of our code: exact fractions, rounded half to even.

    STREAMGAUGE_DATA=... python3 crates/mapping/tests/real_data_counts.py
"""
import csv
import glob
import json
import os
import re
from fractions import Fraction

DATA = os.environ.get("STREAMGAUGE_DATA", "../shared/data")


def path(*parts):
    return os.path.join(DATA, *parts)


def millionths(text, scale=Fraction(1)):
    return round(Fraction(text) * scale * 1_000_000)  # of a Fraction: half to even


def azure():
    with open(path("azure_llm_2023/data/AzureLLMInferenceTrace_conv.csv")) as file:
        rows = list(csv.DictReader(file))
    tokens = [sum(int(row[name]) for row in rows) for name in ("ContextTokens", "GeneratedTokens")]
    print("azure_llm", len(rows), "tokens", *tokens)


def mooncake():
    rows = [json.loads(line) for line in open(path("mooncake/conversation_trace.jsonl"))]
    lengths = [sum(row[name] for row in rows) for name in ("input_length", "output_length")]
    print("mooncake", len(rows), "tokens", *lengths, "last ms", rows[-1]["timestamp"])


def petshop(name):
    rows = list(csv.reader(open(path("petshop/dataset", name, "metrics.csv"))))
    index = {key: at for at, key in enumerate(zip(*rows[:3]))}
    services = [service for service, metric, _ in index if metric == "requests"]
    requests, empty, good, lowest = 0, 0, 0, None
    for line, row in enumerate(rows[4:], 5):
        for service in services:
            text = row[index[service, "requests", "Sum"]]
            n = round(Fraction(text)) if text else 0
            if n == 0:
                empty += 1
                continue
            share = Fraction(row[index[service, "availability", "Average"]]) / 100
            requests += n
            good += round(n * share)
            if service == "PetSite" and (lowest is None or share < lowest[0]):
                lowest = (share, line, row[0], n, round(n * share))
    shown = (f"{float(lowest[0]):.4%}", *lowest[1:])
    print("petshop", name, len(rows) - 4, "services", len(services), "empty", empty, "requests", requests, "good", good,
          "PetSite lowest", *shown)


NEZHA = {
    "CpuUsage(m)": ("cpu_cores", Fraction(1, 1000)),
    "CpuUsageRate(%)": ("cpu_ratio", Fraction(1, 100)),
    "MemoryUsage(Mi)": ("memory_mebibytes", Fraction(1)),
    "MemoryUsageRate(%)": ("memory_ratio", Fraction(1, 100)),
    "SyscallRead": ("syscalls_read", Fraction(1)),
    "SyscallWrite": ("syscalls_written", Fraction(1)),
    "NetworkReceiveBytes": ("network_received_mebibytes", Fraction(1, 2**20)),
    "NetworkTransmitBytes": ("network_sent_mebibytes", Fraction(1, 2**20)),
    "NodeCpuUsageRate(%)": ("node_cpu_ratio", Fraction(1, 100)),
    "NodeMemoryUsageRate(%)": ("node_memory_ratio", Fraction(1, 100)),
}


def nezha():
    files = sorted(glob.glob(path("nezha/rca_data/2022-08-22/metric/*-*_metric.csv")))
    sums, rows, pods = {}, 0, set()
    for file in files:
        for row in csv.DictReader(open(file)):
            rows += 1
            pods.add(row["PodName"])
            for column, (metric, scale) in NEZHA.items():
                sums[metric] = sums.get(metric, 0) + millionths(row[column], scale)
    print("nezha", len(files), "files", rows, "rows", len(pods), "pods")
    for metric in sorted(sums):
        print("   ", metric, sums[metric])


def nab():
    in_bytes = re.compile("disk_write_bytes|network_in|NetworkIn")
    files = sorted(glob.glob(path("nab/data/*/*.csv")))
    traffic = [file for file in files if "realTraffic" in file]
    bytes_ = [file for file in files if in_bytes.search(os.path.basename(file))]
    plain = [file for file in files if file not in traffic and file not in bytes_]
    for name, chosen, scale in (("nab", plain, 1), ("nab_bytes", bytes_, Fraction(1, 2**20)), ("nab_traffic", traffic, 1)):
        values = [row["value"] for file in chosen for row in csv.DictReader(open(file))]
        print(name, len(chosen), "files", len(values), "rows", sum(millionths(value, Fraction(scale)) for value in values))


azure()
mooncake()
petshop("low_traffic/noissue")
nezha()
nab()
