"""The tables of an Nsight Systems export, by schema version: columns of the real files, see docs/nsys.md.

A column that came later bears the version that brought it. Tables that older versions call
otherwise are in OLD_NAMES. Times are ns from the session's start.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSIONS = {
    "2.9": ("2.9.1", "2022.2.1.31"),
    "3.4": ("3.4.0", "2023.3.1.92"),
    "3.13": ("3.13.2", "2024.5.1.113"),
    "3.24": ("3.24.7", "2025.6.1.190"),
    "3.25": ("3.25.0", "2026.2.1.210"),
}
"""EXPORT_SCHEMA_VERSION and EXPORT_PRODUCT_VERSION."""

OLD_NAMES = {"META_DATA_EXPORT": ((3, 4), "EXPORT_META_DATA"), "GPU_CONTEXT_SWITCH_EVENTS": ((3, 4), "FECS_EVENTS")}

KERNEL, MEMCPY, RUNTIME, SYNC = (
    f"CUPTI_ACTIVITY_KIND_{kind}" for kind in ("KERNEL", "MEMCPY", "RUNTIME", "SYNCHRONIZATION")
)
_CALL = "start! end! eventClass! globalTid correlationId nameId!"
_VULKAN = "start! end! eventClass! globalTid correlationId endCorrelationId nameId!"
_GPU = "start! end! deviceId! contextId! greenContextId@3.13 streamId! correlationId globalPid"

_TABLES = {
    "StringIds": "id! value:t!",
    "META_DATA_EXPORT": "name:t! value:t",
    "META_DATA_CAPTURE@3.4": "name:t! value:t",
    "ANALYSIS_DETAILS": "globalVid! duration! startTime! stopTime!",
    "TARGET_INFO_SESSION_START_TIME": "utcEpochNs utcTime:t localTime:t systemClockNs@3.24",
    "TARGET_INFO_GPU": "vmId! id! name:t busLocation:t smCount cuDevice chipName:t",
    "PROCESSES": "globalPid pid name:t",
    "ThreadNames": "nameId! priority globalTid",
    "DIAGNOSTIC_EVENT@3.4": "timestamp! timestampType! source! severity! text:t! globalPid",
    "NVTX_EVENTS": "start! end eventType! rangeId category color text:t globalTid endGlobalTid textId domainId "
    "uint64Value int64Value doubleValue:r uint32Value int32Value floatValue:r jsonTextId jsonText:t binaryData:t@3.25",
    "OSRT_API": "start! end! eventClass! globalTid nameId! returnValue! nestingLevel callchainId!",
    "SCHED_EVENTS": "start! cpu! isSchedIn! globalTid threadState@3.13 threadBlock@3.13",
    "VULKAN_API": f"id! {_VULKAN} contextId",
    "VULKAN_WORKLOAD": f"{_VULKAN} gpu contextId color textId",
    "VULKAN_DEBUG_API": f"{_VULKAN} contextId color textId",
    KERNEL: f"{_GPU} demangledName! shortName! mangledName launchType cacheConfig registersPerThread! gridX! gridY! "
    "gridZ! blockX! blockY! blockZ! staticSharedMemory! dynamicSharedMemory! localMemoryPerThread! localMemoryTotal! "
    "gridId! sharedMemoryExecuted graphNodeId graphId@3.24 clusterX@3.24 clusterY@3.24 clusterZ@3.24",
    MEMCPY: f"{_GPU} bytes! copyKind! srcKind dstKind graphNodeId copyCount@3.24",
    RUNTIME: f"{_CALL} returnValue! callchainId",
    SYNC: f"{_GPU} deprecatedSyncType@3.24 syncType! eventId! eventSyncId@3.24",
    "GPU_CONTEXT_SWITCH_EVENTS": "tag! vmId! seqNo! contextId timestamp! globalPid gpuId",
}


def create_table(name: str, columns: Mapping[str, str]) -> str:
    """The statement that makes a table of an export; ids of strings are row ids, as nsys declares them."""
    declared = {**columns, **({"id": "INTEGER NOT NULL PRIMARY KEY"} if name == "StringIds" else {})}
    columns_sql = ", ".join(f'"{column}" {kind}' for column, kind in declared.items())
    return f'CREATE TABLE "{name}" ({columns_sql})'


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class Schema:
    """The tables of one version: ``columns`` maps today's table names to columns and their SQL types."""

    def __init__(self, version: str) -> None:
        """Raises ValueError for a version that is not in VERSIONS."""
        if version not in VERSIONS:
            raise ValueError(f"schema {version} is none of {', '.join(VERSIONS)}")
        self.full, self.product = VERSIONS[version]
        self.number = _number(version)
        self.columns: dict[str, dict[str, str]] = {}
        for table, text in _TABLES.items():
            name, _, since = table.partition("@")
            if not since or self.number >= _number(since):
                self.columns[name] = self._parse(text)

    def _parse(self, text: str) -> dict[str, str]:
        found = {}
        for word in text.split():
            column, _, since = word.replace("!", "").partition("@")
            column, _, kind = column.partition(":")
            if not since or self.number >= _number(since):
                sql = {"t": "TEXT", "r": "REAL"}.get(kind, "INTEGER")
                found[column] = sql + (" NOT NULL" if "!" in word else "")
        return found

    def name(self, table: str) -> str:
        """What this version calls a table."""
        until, old = OLD_NAMES.get(table, ((0,), table))
        return old if self.number < until else table

    def create(self, table: str) -> str:
        """The statement that makes a table."""
        return create_table(self.name(table), self.columns[table])
