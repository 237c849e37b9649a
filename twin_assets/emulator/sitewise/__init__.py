"""The part of AWS IoT SiteWise that the emulator serves; one module a subject."""

from twin_assets.emulator.context import Handlers
from twin_assets.emulator.sitewise import (
    aggregates,
    asset_models,
    asset_properties,
    assets,
    bulk_jobs,
    interpolation,
    putting,
    reading,
    streams,
)

# Where the service's documentation limits a list and its model does not: shape's name to the most members.
# https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/ and the user guide's quotas
LENGTHS = {
    "PutAssetPropertyValueEntries": 10,
    "AssetPropertyValues": 10,
    "BatchGetAssetPropertyValueEntries": 128,
    "BatchGetAssetPropertyValueHistoryEntries": 16,
    "BatchGetAssetPropertyAggregatesEntries": 16,
    "AssetModelPropertyDefinitions": 200,
    "AssetModelHierarchyDefinitions": 30,
}

HANDLERS: Handlers = {
    **asset_models.HANDLERS,
    **assets.HANDLERS,
    **asset_properties.HANDLERS,
    **streams.HANDLERS,
    **putting.HANDLERS,
    **reading.HANDLERS,
    **aggregates.HANDLERS,
    **interpolation.HANDLERS,
    **bulk_jobs.HANDLERS,
}
